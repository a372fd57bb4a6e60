-- Deletes all parts of the manifest before a full manifest replaces them.
delete from manifests
