import type { Isolator } from "../../../appc/schema/isolators.ts";
import { formatQuantity, parseQuantity, quantityBytes } from "../../../appc/types/quantity.ts";
import type { IsolatorOverride } from "../../pod/app-overrides.ts";
import type { ParsedOptions } from "../parsed-options.ts";
import { readKeyValues } from "./key-values.ts";
import { invalidValue, parseInteger } from "./scalars.ts";

/** Catches `16m`, which are 16 thousandths of a byte. */
const SMALLEST_MEMORY = 4096n;

const CPU_SHARES = "os/linux/cpu-shares";
const OOM_SCORE = "os/linux/oom-score-adj";
const RETAIN_CAPS = "os/linux/capabilities-retain-set";
const REMOVE_CAPS = "os/linux/capabilities-remove-set";
const RETAIN_CALLS = "os/linux/seccomp-retain-set";
const REMOVE_CALLS = "os/linux/seccomp-remove-set";

/**
 * The limits that flags set. Memory and CPU are appended to the image's (the last one counts), everything else
 * takes the place of what the image says. Errors: `flag-value-invalid`, `quantity-invalid`.
 */
export function readIsolatorFlags(options: ParsedOptions): IsolatorOverride[] {
	const result: IsolatorOverride[] = [];
	const add = (isolator: Isolator | undefined, ...replaces: string[]): void => {
		if (isolator) result.push({ isolator, replaces });
	};
	if (options.given("memory")) add(memoryLimit(options.text("memory")));
	if (options.given("cpu")) add(cpuLimit(options.text("cpu")));
	add(ranged(options, "cpu-shares", CPU_SHARES, 2, 262144), CPU_SHARES);
	add(pidsLimit(options));
	add(ranged(options, "oom-score-adj", OOM_SCORE, -1000, 1000), OOM_SCORE);
	add(capabilities(options), RETAIN_CAPS, REMOVE_CAPS);
	if (options.given("seccomp")) add(seccomp(options.text("seccomp")), RETAIN_CALLS, REMOVE_CALLS);
	return result;
}

function memoryLimit(value: string): Isolator {
	const quantity = parseQuantity(value);
	if (quantityBytes(quantity) < SMALLEST_MEMORY) {
		invalidValue("memory", value, "less than 4096 bytes", "memory is in bytes: write 16M or 16Mi, not 16m");
	}
	return { name: "resource/memory", value: both(formatQuantity(quantity)) };
}

function cpuLimit(value: string): Isolator {
	const quantity = parseQuantity(value);
	if (quantity.nanos <= 0n) invalidValue("cpu", value, "it must be more than 0");
	return { name: "resource/cpu", value: both(formatQuantity(quantity)) };
}

/** PID_MAX_LIMIT of the kernel. */
const MOST_PIDS = 4194304;

function pidsLimit(options: ParsedOptions): Isolator | undefined {
	const limit = ranged(options, "pids", "resource/pids", 1, MOST_PIDS);
	return limit && { ...limit, value: { limit: String(limit.value) } };
}

function both(quantity: string): { request: string; limit: string } {
	return { request: quantity, limit: quantity };
}

function ranged(
	options: ParsedOptions,
	flagName: string,
	name: string,
	minimum: number,
	maximum: number,
): Isolator | undefined {
	if (!options.given(flagName)) return undefined;
	const value = parseInteger(options.text(flagName), minimum, maximum);
	if (value === undefined) {
		return invalidValue(
			flagName,
			options.text(flagName),
			`expected an integer from ${minimum} to ${maximum}`,
		);
	}
	return { name, value };
}

function capabilities(options: ParsedOptions): Isolator | undefined {
	const retain = ["caps-retain", "cap-retain"].filter((name) => options.given(name));
	const remove = ["caps-remove", "cap-remove"].filter((name) => options.given(name));
	const [flagName, second] = [...retain, ...remove];
	if (flagName === undefined) return undefined;
	if (second !== undefined) {
		invalidValue(second, options.text(second), `cannot be combined with --${flagName}`);
	}
	const set = options.text(flagName).split(",");
	for (const word of set) {
		if (!/^CAP_[A-Z0-9_]+$/.test(word)) {
			invalidValue(
				flagName,
				options.text(flagName),
				`${JSON.stringify(word)} is no capability such as CAP_CHOWN`,
			);
		}
	}
	return { name: retain.length > 0 ? RETAIN_CAPS : REMOVE_CAPS, value: { set } };
}

function seccomp(value: string): Isolator {
	const fields = value.split(",").map((field) => field.trim());
	const words = fields.filter((field) => !field.includes("="));
	const parameters = fields.filter((field) => field.includes("="));
	const { mode, errno } = seccompParameters(value, parameters);
	if (words.length === 0) invalidValue("seccomp", value, "it names no system call");
	const bad = words.find((word) => !/^(?:@[a-z0-9.-]+\/[a-z0-9-]+|[a-z0-9_]+)$/.test(word));
	if (bad !== undefined) invalidValue("seccomp", value, `${JSON.stringify(bad)} is no system call or set`);
	return {
		name: mode === "retain" ? RETAIN_CALLS : REMOVE_CALLS,
		value: { set: words, ...(errno === undefined ? {} : { errno }) },
	};
}

function seccompParameters(
	value: string,
	parameters: readonly string[],
): { mode: string; errno: string | undefined } {
	const found = readKeyValues("seccomp", value, parameters, ["mode", "errno"]);
	const mode = found.get("mode") ?? "";
	const errno = found.get("errno");
	if (mode !== "retain" && mode !== "remove") {
		invalidValue("seccomp", value, "mode must be retain or remove", "write mode=remove,CALL,CALL");
	}
	if (errno !== undefined && !/^E[A-Z0-9]+$/.test(errno)) {
		invalidValue("seccomp", value, "errno must be a name such as EPERM");
	}
	return { mode, errno };
}
