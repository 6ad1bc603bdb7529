import { invalidValue } from "./values/scalars.ts";

/** What --insecure-options switched off (cli.md section 1.5 of the reference). */
export interface InsecureOptions {
	/** No signature checks. */
	readonly image: boolean;
	/** No certificate checks. */
	readonly tls: boolean;
	/** Plain http for discovery and downloads. */
	readonly http: boolean;
	/** Public keys over plain http. */
	readonly pubkey: boolean;
	readonly capabilities: boolean;
	readonly paths: boolean;
	readonly seccomp: boolean;
}

const FETCH = ["image", "tls", "http", "pubkey"] as const;
const RUN = ["capabilities", "paths", "seccomp"] as const;

const MEANING: Readonly<Record<string, readonly (keyof InsecureOptions)[]>> = {
	none: [],
	image: ["image"],
	tls: ["tls"],
	ondisk: [],
	http: ["http"],
	pubkey: ["pubkey"],
	capabilities: ["capabilities"],
	paths: ["paths"],
	seccomp: ["seccomp"],
	"all-fetch": FETCH,
	"all-run": RUN,
	all: [...FETCH, ...RUN],
};

const INSECURE_WORDS: readonly string[] = Object.keys(MEANING);

/** Reads the comma list. Errors: `flag-value-invalid` for an unknown or repeated word. */
export function parseInsecureOptions(value: string): InsecureOptions {
	const words = value.toLowerCase().split(",");
	const off = new Set<keyof InsecureOptions>();
	for (const [index, word] of words.entries()) {
		const meaning = Object.hasOwn(MEANING, word) ? MEANING[word] : undefined;
		if (meaning === undefined) {
			return invalidValue("insecure-options", value, `unknown word ${JSON.stringify(word)}`, hint());
		}
		if (words.indexOf(word) !== index) invalidValue("insecure-options", value, `${word} is repeated`);
		for (const name of meaning) off.add(name);
	}
	return {
		image: off.has("image"),
		tls: off.has("tls"),
		http: off.has("http"),
		pubkey: off.has("pubkey"),
		capabilities: off.has("capabilities"),
		paths: off.has("paths"),
		seccomp: off.has("seccomp"),
	};
}

function hint(): string {
	return `choose from ${INSECURE_WORDS.join(", ")}`;
}
