#!/usr/bin/env node
// npm's solc behind the native compiler's command line: `--version` and `--standard-json`, whatever
// else is given. (`solcjs --standard-json` prints a line of its own before the JSON.)
'use strict';

const solc = require('solc');

const options = process.argv.slice(2);
if (options.includes('--version')) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (options.includes('--standard-json')) {
  process.stdout.write(solc.compile(require('fs').readFileSync(0, 'utf8')));
} else {
  console.error(`unrecognised options: ${options.join(' ')}`);
  process.exitCode = 1;
}
