import type { Volume } from "../../../appc/schema/pod-manifest.ts";
import { isACName } from "../../../appc/types/ac-name.ts";
import { readKeyValues } from "./key-values.ts";
import { invalidValue, parseBool, parseInteger } from "./scalars.ts";

const KEYS = ["kind", "source", "readOnly", "recursive", "idmap", "suid", "mode", "uid", "gid"];
const LARGEST_ID = 0xfffffffe;
const HINT =
	"write NAME,kind=host,source=/PATH[,readOnly=true] or NAME,kind=empty[,mode=0755][,uid=0][,gid=0]";

/**
 * `--volume`: `NAME,kind=host,source=PATH[,readOnly=BOOL][,recursive=BOOL][,idmap=BOOL][,suid=BOOL]` or
 * `NAME,kind=empty[,mode=OCTAL][,uid=N][,gid=N][,readOnly=BOOL][,suid=BOOL]`. Errors: `flag-value-invalid`.
 */
export function parseVolume(value: string): Volume {
	const [name = "", ...fields] = value.split(",");
	if (!isACName(name)) refuse(value, `${JSON.stringify(name)} is not a volume name`);
	const parameters = readKeyValues("volume", value, fields, KEYS);
	const kind = parameters.get("kind");
	if (kind !== "host" && kind !== "empty") return refuse(value, "kind must be host or empty");
	const common: Volume = {
		name,
		kind,
		...switchField("readOnly", value, parameters),
		...switchField("recursive", value, parameters),
		...switchField("idmap", value, parameters),
		...switchField("suid", value, parameters),
	};
	return { ...common, ...(kind === "host" ? hostFields(value, parameters) : emptyFields(value, parameters)) };
}

function refuse(value: string, reason: string): never {
	return invalidValue("volume", value, reason, HINT);
}

function hostFields(value: string, parameters: ReadonlyMap<string, string>): Pick<Volume, "source"> {
	const source = parameters.get("source") ?? "";
	if (!source.startsWith("/")) refuse(value, "source must be an absolute path");
	for (const key of ["mode", "uid", "gid"]) {
		if (parameters.has(key)) refuse(value, `${key} is only for kind=empty`);
	}
	return { source };
}

function emptyFields(value: string, parameters: ReadonlyMap<string, string>): Partial<Volume> {
	for (const key of ["source", "idmap"])
		if (parameters.has(key)) refuse(value, `${key} is only for kind=host`);
	const mode = parameters.get("mode");
	if (mode !== undefined && !/^0?[0-7]{1,4}$/.test(mode)) refuse(value, "mode must be octal");
	return {
		...(mode === undefined ? {} : { mode }),
		...idField("uid", value, parameters),
		...idField("gid", value, parameters),
	};
}

function switchField(
	key: "readOnly" | "recursive" | "idmap" | "suid",
	value: string,
	parameters: ReadonlyMap<string, string>,
): Partial<Volume> {
	const word = parameters.get(key);
	if (word === undefined) return {};
	const on = parseBool(word);
	return on === undefined ? refuse(value, `${key} must be true or false`) : { [key]: on };
}

function idField(
	key: "uid" | "gid",
	value: string,
	parameters: ReadonlyMap<string, string>,
): Partial<Volume> {
	const word = parameters.get(key);
	if (word === undefined) return {};
	const id = parseInteger(word, 0, LARGEST_ID);
	return id === undefined ? refuse(value, `${key} must be a number of a user or group`) : { [key]: id };
}
