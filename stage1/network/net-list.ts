import { fail } from "../../lib/errors.ts";

/** What --net asks for (network.md section 1 of the reference). */
export type NetList =
	| { readonly kind: "host" }
	| { readonly kind: "none" }
	| {
			readonly kind: "networks";
			/** Every configured network. */
			readonly all: boolean;
			/** CNI_ARGS by network name; "" for none. Without `all` these are the networks to join. */
			readonly args: ReadonlyMap<string, string>;
	  };

const HINT = "--net takes none, host, all, or NAME[:KEY=VALUE[;KEY=VALUE...]] separated by commas";

/**
 * Reads the values of every --net flag, each `ITEM[,ITEM...]` with ITEM `NAME[:ARGS]`; "" means `default`.
 * Errors: `net-list-invalid`.
 */
export function parseNetList(values: readonly string[]): NetList {
	const args = new Map<string, string>();
	for (const value of values) {
		for (const item of (value === "" ? "default" : value).split(",")) addItem(args, item);
	}
	if (args.size === 0) args.set("default", "");
	if (args.has("host")) return { kind: "host" };
	if (args.has("none")) return { kind: "none" };
	const all = args.delete("all");
	return { kind: "networks", all, args };
}

/** The list as stage0 hands it to stage1; {@link parseNetList} reads it back. */
export function formatNetList(net: NetList): string {
	if (net.kind !== "networks") return net.kind;
	const items = [...net.args].map(([name, args]) => (args === "" ? name : `${name}:${args}`));
	return [...(net.all ? ["all"] : []), ...items].join(",");
}

function addItem(args: Map<string, string>, item: string): void {
	const [name = "", itemArgs, ...more] = item.split(":");
	if (name === "") invalid(`netname must not be empty in "${item}"`);
	if (more.length > 0) invalid(`network argument is invalid, more than one ":" in "${item}"`);
	if (args.has(name)) invalid(`found duplicate netname "${name}"`);
	if (itemArgs !== undefined && (name === "all" || name === "host")) {
		invalid(`arguments are not allowed with the special network "${name}"`);
	}
	// biome-ignore lint/suspicious/noControlCharactersInRegex: they would reach the environment of plugins
	if (/[\u0000-\u001f\u007f]/.test(item)) invalid(`control character in ${JSON.stringify(item)}`);
	args.set(name, itemArgs ?? "");
}

function invalid(message: string): never {
	return fail("net-list-invalid", `--net: ${message}`, { hint: HINT });
}
