import { fail } from "../../lib/errors.ts";
import { OCI_REFUSAL } from "./manifest.ts";

/** Refuses a configuration; `member` is such as `User`, empty for the whole. */
export function refuseConfig(
	source: string,
	member: string,
	problem: string,
	code = OCI_REFUSAL.code,
): never {
	const where = member === "" ? source : `${source}: config.${member}`;
	const hint =
		code === OCI_REFUSAL.code ? OCI_REFUSAL.hint : "choose an image that is made for a Linux machine";
	return fail(code, `${where} ${problem}`, { hint });
}
