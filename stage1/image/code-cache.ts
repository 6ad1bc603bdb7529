import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { BUNDLE_NAME, wrapSource } from "./module-loader.ts";

/** Compiles the wrapped source of argv[1] and writes the cache to argv[2]; prints whether V8 takes argv[3] for it. */
const MAKER = `
const { readFileSync, writeFileSync } = require("node:fs");
const { Script } = require("node:vm");
const [source, output, given] = process.argv.slice(1);
const cachedData = given === undefined ? undefined : readFileSync(given);
const script = new Script(readFileSync(source, "latin1"), { filename: "${BUNDLE_NAME}", cachedData });
if (given === undefined) writeFileSync(output, script.createCachedData());
else console.log(script.cachedDataRejected === false ? "taken" : "rejected");
`;

/**
 * A seed of our own for V8's hash tables makes the cache the same at every build; with the functions compiled ahead
 * nothing has to run for it.
 */
const FLAGS = ["--hash-seed=1", "--no-lazy"];

/** Offset in V8's header of the hash over its command-line flags, four bytes. */
const FLAG_HASH = 12;

/**
 * The V8 code cache for a bundle, as this Node takes it; undefined when it does not take what was made. The same bundle
 * gives the same bytes: they are made with fixed seeds, then marked with the flags of a Node without.
 */
export function makeCodeCache(bundle: string): Buffer | undefined {
	const directory = fs.mkdtempSync(path.join(os.tmpdir(), "rkt-cache-"));
	try {
		const source = path.join(directory, "source");
		const [fixed = "", usual = ""] = ["fixed", "usual"].map((name) => path.join(directory, name));
		fs.writeFileSync(source, wrapSource(fs.readFileSync(bundle, "latin1")), "latin1");
		node([...FLAGS, "-e", MAKER, source, fixed]);
		node(["-e", MAKER, source, usual]);
		const cache = fs.readFileSync(fixed);
		fs.readFileSync(usual).copy(cache, FLAG_HASH, FLAG_HASH, FLAG_HASH + 4);
		fs.writeFileSync(fixed, cache);
		return node(["-e", MAKER, source, usual, fixed]).trim() === "taken" ? cache : undefined;
	} finally {
		fs.rmSync(directory, { recursive: true, force: true });
	}
}

/** Options from outside would change the flags. */
function node(args: readonly string[]): string {
	const { NODE_OPTIONS: _, ...environment } = process.env;
	const result = spawnSync(process.execPath, args, { encoding: "utf8", env: environment });
	if (result.status !== 0) throw new Error(`node failed on a code cache: ${result.stderr}`);
	return result.stdout;
}
