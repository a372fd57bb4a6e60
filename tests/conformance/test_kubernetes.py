"""deploy/kubernetes: each manifest follows the published schema of its kind, and the manifests agree with each other and
with the server's settings."""

import os
import pathlib
import re
import subprocess

import kubernetes_validate
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
# The oldest version with every field that the manifests use, and the newest that the validator knows.
VERSIONS = ["1.27", kubernetes_validate.latest_version()]


def documents(path):
    return list(yaml.safe_load_all(path.read_text()))


MANIFESTS = [(path.name, document) for path in FILES for document in documents(path)]


def only(kind, name=None):
    (found,) = [
        document for _, document in MANIFESTS if document["kind"] == kind and name in (None, document["metadata"]["name"])
    ]
    return found


def pod_specs():
    return [document["spec"]["template"]["spec"] for _, document in MANIFESTS if document["kind"] in ("Deployment", "Job")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name, manifest", MANIFESTS, ids=lambda value: value if isinstance(value, str) else value["kind"])
def test_a_manifest_follows_its_schema_and_has_no_unknown_field(name, manifest, version):
    kubernetes_validate.validate(manifest, version, strict=True)


def test_an_unknown_field_is_found():
    manifest = only("PodDisruptionBudget")
    broken = {**manifest, "spec": {**manifest["spec"], "maxUnavailble": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


def test_kustomize_applies_every_file_but_the_secret_and_the_job():
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    by_hand = {"secret.example.yaml", "migrate.yaml"}
    assert set(kustomization["resources"]) == {path.name for path in FILES} - by_hand
    (image,) = kustomization["images"]
    complete = f"{image['newName']}:{image['newTag']}"
    (server,) = only("Deployment")["spec"]["template"]["spec"]["containers"]
    (migrate,) = only("Job")["spec"]["template"]["spec"]["containers"]
    assert (server["image"], migrate["image"]) == (image["name"], complete)
    assert {document["metadata"].get("namespace") for _, document in MANIFESTS if document["kind"] != "Namespace"} == {
        kustomization["namespace"]
    }


def test_every_key_of_a_secret_that_a_pod_uses_is_in_the_example():
    keys = set(only("Secret")["stringData"])
    used = set()
    for spec in pod_specs():
        for container in spec["containers"]:
            references = [variable.get("valueFrom", {}).get("secretKeyRef") for variable in container["env"]]
            used |= {reference["key"] for reference in references if reference}
        used |= {item["key"] for volume in spec["volumes"] for item in volume["secret"]["items"]}
    assert used == keys


def test_every_setting_is_one_of_the_server():
    program = pathlib.Path(os.environ["VOELGOED_SCAN_PROGRAMS"]) / "voelgoed-scan-server"
    help_text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    names = set(only("ConfigMap")["data"])
    for spec in pod_specs():
        for container in spec["containers"]:
            names |= {variable["name"] for variable in container["env"]}
            for argument in container.get("args", []):
                assert argument in help_text, argument
    for name in names:
        assert re.search(rf"\[env: {name}[=\]]", help_text), name


def with_option(text, option):
    """The text without the comment signs of the lines after `# optional: OPTION`."""
    lines = []
    is_optional = False
    for line in text.splitlines():
        is_comment = line.lstrip().startswith("# ")
        if is_comment and is_optional:
            line = line.replace("# ", "", 1)
        is_optional = is_comment and (is_optional or line.strip() == f"# optional: {option}")
        lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_authority_of_redis_can_be_switched_on(version):
    text = (FOLDER / "deployment.yaml").read_text()
    manifest = yaml.safe_load(with_option(text, "redis-ca"))
    kubernetes_validate.validate(manifest, version, strict=True)
    spec = manifest["spec"]["template"]["spec"]
    (server,) = spec["containers"]
    (authority,) = [variable["value"] for variable in server["env"] if variable["name"] == "VOELGOED_SCAN_REDIS_CA"]
    (mount,) = server["volumeMounts"]
    (volume,) = spec["volumes"]
    paths = [f"{mount['mountPath']}/{item['path']}" for item in volume["secret"]["items"]]
    assert authority in paths
    assert "--from-file=redis-ca.pem" in (ROOT / "docs" / "kubernetes.md").read_text()


def test_services_budget_and_policy_select_the_pods_of_the_deployment():
    deployment = only("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [document["spec"]["selector"] for _, document in MANIFESTS if document["kind"] == "Service"]
    selectors += [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
    selectors += [only("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
    assert all(selector == labels for selector in selectors)
    job = only("Job")["spec"]["template"]["metadata"]["labels"]
    assert job.items() - labels.items(), "no traffic goes to the pod that migrates"
    services = {document["metadata"]["name"] for _, document in MANIFESTS if document["kind"] == "Service"}
    backends = [path["backend"]["service"]["name"] for rule in only("Ingress")["spec"]["rules"] for path in rule["http"]["paths"]]
    assert set(backends) <= services


def seconds(text):
    assert text.endswith("s")
    return int(text.removesuffix("s"))


def test_a_pod_has_the_time_to_drain_and_to_stop():
    spec = only("Deployment")["spec"]["template"]["spec"]
    delay = seconds(only("ConfigMap")["data"]["VOELGOED_SCAN_DRAIN_DELAY"])
    assert spec["terminationGracePeriodSeconds"] >= delay + 10
    (server,) = spec["containers"]
    ready = server["readinessProbe"]
    assert ready["httpGet"]["path"] == "/readyz"
    assert delay >= 2 * ready["periodSeconds"] * ready["failureThreshold"]
    assert server["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_pods_meet_the_restricted_security_level():
    for spec in pod_specs():
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "cpu" not in container["resources"]["limits"], "throttling delays scans"
