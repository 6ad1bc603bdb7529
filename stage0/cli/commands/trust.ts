import { fail } from "../../../lib/errors.ts";
import { addTrust } from "../../fetch/trust.ts";
import { openKeystore } from "../../keystore/keystore.ts";
import type { Handler, Invocation } from "../command.ts";
import { readConfig } from "../workspace.ts";

/** `rkt trust`: keys for a prefix, or for every image with --root. */
export const trustKeys: Handler = async (context, { options, args }) => {
	const { globals, log } = context;
	const prefix = readPrefix(options, args);
	if (globals.insecure.image) {
		fail("keystore-off", "could not get the keystore", { hint: "leave --insecure-options=image away" });
	}
	if (options.on("cosign") && args.length === 0) {
		fail("flags-conflict", "keys of cosign are not discovered: no file or URL of one is given", {
			hint: "name the file: rkt trust --cosign --prefix=HOST/NAME cosign.pub",
		});
	}
	const config = readConfig(context);
	const keystore = openKeystore({ system: globals.systemConfig, local: globals.localConfig });
	await addTrust(
		{
			prefix,
			locations: args,
			allowHttp: options.on("insecure-allow-http"),
			skipReview: options.on("skip-fingerprint-review"),
			cosign: options.on("cosign"),
		},
		{ keystore, config, insecure: globals.insecure, log, trustKeysFromHttps: globals.trustKeysFromHttps },
	);
	return 0;
};

/** The prefix, or undefined for root keys. Errors: `trust-unbounded`, `flags-conflict`, `flag-value-invalid`. */
function readPrefix(options: Invocation["options"], args: readonly string[]): string | undefined {
	const prefix = options.text("prefix");
	const root = options.on("root");
	if (root && options.given("prefix")) {
		fail("flags-conflict", "--root and --prefix exclude each other", { hint: "leave one of them away" });
	}
	if (!root && prefix === "") {
		const message =
			args.length > 0 ? "implicit unbounded trust is refused" : "neither --prefix nor --root is given";
		fail("trust-unbounded", message, {
			hint: "say for which images: --prefix=example.com/app, or --root for all",
		});
	}
	if (/^[a-z+.-]+:\/\//i.test(prefix)) {
		fail("flag-value-invalid", `--prefix=${prefix} begins with a scheme`, {
			hint: `write it without: --prefix=${prefix.replace(/^[a-z+.-]+:\/\//i, "")}`,
		});
	}
	return root ? undefined : prefix;
}
