const LONGEST = 80;

/**
 * A value from outside for a message: as JSON, cut to a readable length, without control, bidirectional or other
 * invisible characters, so that a hostile name cannot draw on the terminal or split a log line.
 */
export function quote(value: unknown): string {
	const text = JSON.stringify(value) ?? String(value);
	const escaped = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escapeCharacter);
	return escaped.length <= LONGEST ? escaped : `${escaped.slice(0, LONGEST)}…`;
}

function escapeCharacter(character: string): string {
	return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
