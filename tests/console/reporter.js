// Shows each test, and ends with a line like that of Cargo's tests, which scripts/tally counts.

export default async function* report(events) {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for await (const { type, data } of events) {
    if (type === "test:diagnostic" && data.nesting > 0) yield `    ${data.message}\n`;
    if (type === "test:stderr" || type === "test:stdout") yield data.message;
    const isTest = data?.details?.type !== "suite";
    if (type === "test:pass" && isTest) {
      if (data.skip !== undefined) skipped += 1;
      else passed += 1;
      yield `test ${data.name} ... ${data.skip === undefined ? "ok" : "skipped"}\n`;
    }
    if (type === "test:fail" && isTest) {
      failed += 1;
      const error = data.details.error;
      yield `test ${data.name} ... FAILED\n${error?.cause?.stack ?? error?.stack ?? error}\n`;
    }
  }
  const verdict = failed ? "FAILED" : "ok";
  yield `test result: ${verdict}. ${passed} passed; ${failed} failed; ${skipped} ignored; 0 measured; 0 filtered out; console\n`;
}
