// Runs a program once and writes a V8 code cache that holds the functions it used, with those of a cache that
// was there already. The source is wrapped exactly as launcher.cjs does it.
//
// usage: node make-code-cache.cjs PROGRAM CACHE ARGUMENT…
"use strict";
const { existsSync, readFileSync, writeFileSync } = require("node:fs");
const path = require("node:path");
const { Script } = require("node:vm");

const [program, cache] = process.argv.splice(2, 2);
const source = readFileSync(program, "latin1");
const cachedData = existsSync(cache) ? readFileSync(cache) : undefined;
const wrapped = `(function(exports,require,module,__filename,__dirname){${source}\n})`;
const script = new Script(wrapped, { filename: program, cachedData });
process.on("exit", () => writeFileSync(cache, script.createCachedData()));
script.runInThisContext()(exports, require, module, program, path.dirname(program));
