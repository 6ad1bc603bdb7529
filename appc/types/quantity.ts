import { RktError } from "../../lib/errors.ts";
import { quote } from "./quote.ts";

/**
 * An exact amount of a resource: bytes, cores, operations per second (the Kubernetes resource model, which appc
 * took over). `nanos` is the amount times 10⁹; `format` is how it was written and is written again.
 */
export interface Quantity {
	readonly nanos: bigint;
	readonly format: "decimal" | "binary" | "exponent";
}

const NANO = 1_000_000_000n;
const LARGEST = (2n ** 63n - 1n) * NANO;
/** Powers of ten of 10⁻⁹. */
const DECIMAL = new Map([
	["n", 0],
	["u", 3],
	["m", 6],
	["", 9],
	["k", 12],
	["M", 15],
	["G", 18],
	["T", 21],
	["P", 24],
	["E", 27],
]);
const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

export const QUANTITY_RULE =
	"a decimal number with an optional suffix: n u m k M G T P E (powers of 1000), Ki Mi Gi Ti Pi Ei (powers of 1024) or an exponent like e3";

/**
 * Reads `1`, `.5`, `-3k`, `1.5Gi`, `12e6`. A part below 10⁻⁹ is rounded away from zero; the magnitude is capped
 * at 2⁶³−1. Errors: `quantity-invalid`.
 */
export function parseQuantity(text: string): Quantity {
	const match = /^([+-]?)([0-9]*)(\.[0-9]*)?([A-Za-z]{0,2}|[eE][+-]?[0-9]{1,3})$/.exec(text);
	const [, sign = "", whole = "", fraction = "", suffix = ""] = match ?? [];
	const scale = match === null || text.length > 200 ? undefined : scaleOf(suffix);
	if (scale === undefined || `${whole}${fraction}`.replace(".", "") === "") {
		throw new RktError("quantity-invalid", `${quote(text)} is not a quantity`, {
			hint: `write ${QUANTITY_RULE}`,
		});
	}
	const decimals = fraction.slice(1);
	const digits = BigInt(whole + decimals) * scale.factor;
	const amount = scaleByTen(digits, scale.power - decimals.length);
	const capped = amount > LARGEST ? LARGEST : amount;
	return { nanos: sign === "-" ? -capped : capped, format: scale.format };
}

interface Scale {
	/** Power of ten against 10⁻⁹. */
	readonly power: number;
	readonly factor: bigint;
	readonly format: Quantity["format"];
}

function scaleOf(suffix: string): Scale | undefined {
	const power = DECIMAL.get(suffix);
	if (power !== undefined) return { power, factor: 1n, format: "decimal" };
	const binary = BINARY.indexOf(suffix);
	if (binary > 0) return { power: 9, factor: 1024n ** BigInt(binary), format: "binary" };
	if (!/^[eE][+-]?[0-9]/.test(suffix)) return undefined;
	return { power: 9 + Number(suffix.slice(1)), factor: 1n, format: "exponent" };
}

function scaleByTen(value: bigint, power: number): bigint {
	return power >= 0 ? value * 10n ** BigInt(power) : divideUp(value, 10n ** BigInt(-power));
}

/** Division that rounds away from zero. */
function divideUp(value: bigint, divisor: bigint): bigint {
	const rest = value % divisor;
	if (rest === 0n) return value / divisor;
	return value / divisor + (value < 0n ? -1n : 1n);
}

/** The canonical text: no fraction, the largest suffix that keeps the number whole. `1.5Gi` gives `1536Mi`. */
export function formatQuantity({ nanos, format }: Quantity): string {
	if (nanos === 0n) return "0";
	const small = nanos > -1024n * NANO && nanos < 1024n * NANO;
	if (format === "binary" && !small) return formatBinary(divideUp(nanos, NANO));
	let power = 0;
	let amount = nanos;
	while (power < 27 && amount % 1000n === 0n) {
		amount /= 1000n;
		power += 3;
	}
	if (format === "exponent") return power === 9 ? `${amount}` : `${amount}e${power - 9}`;
	const suffix = [...DECIMAL].find(([, value]) => value === power)?.[0] ?? "";
	return `${amount}${suffix}`;
}

function formatBinary(amount: bigint): string {
	let index = 0;
	let rest = amount;
	while (index < BINARY.length - 1 && rest % 1024n === 0n) {
		rest /= 1024n;
		index++;
	}
	return `${rest}${BINARY[index]}`;
}

/** The amount in whole units (bytes), rounded away from zero. */
export function quantityBytes({ nanos }: Quantity): bigint {
	return divideUp(nanos, NANO);
}

/** The amount in thousandths (milli-cores), rounded away from zero. */
export function quantityMilli({ nanos }: Quantity): bigint {
	return divideUp(nanos, 1_000_000n);
}
