/** What a server asks for with status 401. */
export interface Challenge {
	/** Lower-case: `basic`, `bearer`. */
	readonly scheme: string;
	/** Names in lower case. */
	readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const PART = new RegExp(
	`\\s*,?\\s*(?:(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))|(${TOKEN})(?=\\s+${TOKEN}\\s*=|\\s*(?:,|$)))`,
	"y",
);
const MAX_HEADER = 16 * 1024;

/** The challenges of a WWW-Authenticate header (RFC 9110, section 11.6.1), as far as they can be understood. */
export function parseChallenges(header: string | undefined): Challenge[] {
	const text = (header ?? "").slice(0, MAX_HEADER);
	const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
	PART.lastIndex = 0;
	for (let match = PART.exec(text); match?.[0]; match = PART.exec(text)) {
		const [, name, quoted, plain, scheme] = match;
		if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
		else {
			const value = quoted === undefined ? (plain ?? "") : quoted.replace(/\\(.)/gs, "$1");
			challenges.at(-1)?.parameters.set((name ?? "").toLowerCase(), value);
		}
	}
	return challenges;
}
