import { fail } from "../../lib/errors.ts";

/** A unit file: sections in order, each with `Name=value` settings in order; a name may repeat. */
export type UnitSections = ReadonlyArray<readonly [section: string, settings: readonly UnitSetting[]]>;
export type UnitSetting = readonly [name: string, value: string];

/**
 * The text of a unit file. Specifiers are escaped, so a value means itself. Errors: `unit-value-invalid` for what systemd
 * would read as something else, such as a control character, which could start another line: nothing of a manifest that
 * may hold one is put into a unit.
 */
export function renderUnit(sections: UnitSections): string {
	return sections
		.map(([section, settings]) => `[${section}]\n${settings.map(renderSetting).join("")}`)
		.join("\n");
}

/** systemd drops spaces at both ends, joins a line that ends in a backslash with the next, and skips what is no text. */
function isWhole(value: string): boolean {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get in
	return !/[\u0000-\u001f\u007f\p{Surrogate}\p{Noncharacter_Code_Point}]|^ | $|\\$/u.test(value);
}

function renderSetting([name, value]: UnitSetting): string {
	if (!isWhole(value)) {
		fail("unit-value-invalid", `${name}= of a unit cannot hold ${JSON.stringify(value)}`);
	}
	return `${name}=${value.replaceAll("%", "%%")}\n`;
}
