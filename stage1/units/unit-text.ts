import { fail } from "../../lib/errors.ts";

/** A unit file: sections in order, each with `Name=value` settings in order; a name may repeat. */
export type UnitSections = ReadonlyArray<readonly [section: string, settings: readonly UnitSetting[]]>;
export type UnitSetting = readonly [name: string, value: string];

/**
 * The text of a unit file. Specifiers are escaped, so a value means itself. Errors: `unit-value-invalid` for a control
 * character, which could start another line: nothing of a manifest that may hold one is put into a unit.
 */
export function renderUnit(sections: UnitSections): string {
	return sections
		.map(([section, settings]) => `[${section}]\n${settings.map(renderSetting).join("")}`)
		.join("\n");
}

function renderSetting([name, value]: UnitSetting): string {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get in
	if (/[\u0000-\u001f\u007f]/.test(value) || value.endsWith("\\")) {
		fail("unit-value-invalid", `${name}= of a unit cannot hold ${JSON.stringify(value)}`);
	}
	return `${name}=${value.replaceAll("%", "%%")}\n`;
}
