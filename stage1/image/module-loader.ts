/** Name of the bundle in the image, beside the loader. */
export const BUNDLE_NAME = "stage1-bundle.cjs";
/** V8 code cache for the bundle. */
export const CACHE_NAME = `${BUNDLE_NAME}.cache`;

/** The function that Node would make of a module; the cache fits this text only. */
export const wrapSource = (source: string): string =>
	`(function(exports,require,module,__filename,__dirname){${source}\n})`;

/**
 * The module that the image names: runs the bundle with the code cache beside it, which saves 10 ms of a start. V8
 * checks that the cache fits its version; when it does not, the bundle is compiled as usual.
 */
export const MODULE_LOADER = `"use strict";
const { readFileSync } = require("node:fs");
const { Script } = require("node:vm");

const filename = \`\${__dirname}/${BUNDLE_NAME}\`;
const source = readFileSync(filename, "latin1");
let cachedData;
try {
	cachedData = readFileSync(\`\${__dirname}/${CACHE_NAME}\`);
} catch {}
const wrapped = \`(function(exports,require,module,__filename,__dirname){\${source}\\n})\`;
new Script(wrapped, { filename, cachedData }).runInThisContext()(exports, require, module, filename, __dirname);
`;
