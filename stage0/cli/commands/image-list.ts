import { shortImageID } from "../../../appc/types/image-id.ts";
import { RktError } from "../../../lib/errors.ts";
import { writeStdout } from "../../../lib/log.ts";
import { type GuestKernel, readGuestKernel } from "../../../stage1/guest-kernel.ts";
import type { ImageRecord } from "../../store/image-record.ts";
import { type ImageSizes, measureStore } from "../../store/image-sizes.ts";
import type { CommandContext, Handler } from "../command.ts";
import { binarySize, fullTime, relativeTime } from "../output/human.ts";
import { type OutputFormat, printJson } from "../output/print-json.ts";
import { formatTabTable } from "../output/tab-table.ts";
import { invalidValue } from "../values/scalars.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

type Field = "id" | "name" | "size" | "shared" | "importtime" | "lastused" | "kernel";

type SortField = Exclude<Field, "id" | "kernel">;

/** With what it takes of the disk, and what is looked for only when it is shown: the kernel of a stage1 image. */
interface ListedImage extends ImageRecord {
	readonly sizes: ImageSizes;
	readonly kernel: GuestKernel | undefined;
}

const HEADERS: Readonly<Record<Field, string>> = {
	id: "ID",
	name: "NAME",
	size: "SIZE",
	shared: "SHARED",
	importtime: "IMPORT TIME",
	lastused: "LAST USED",
	kernel: "GUEST KERNEL",
};

/** The words of rkt 0.8. */
const OLD_WORDS: Readonly<Record<string, Field>> = { key: "id", appname: "name" };

const SORTED_BY: Readonly<Record<SortField, (a: ListedImage, b: ListedImage) => number>> = {
	name: (a, b) => (fullName(a) < fullName(b) ? -1 : fullName(a) > fullName(b) ? 1 : 0),
	size: (a, b) => a.sizes.total - b.sizes.total,
	shared: (a, b) => a.sizes.shared - b.sizes.shared,
	importtime: (a, b) => a.importTime - b.importTime,
	lastused: (a, b) => a.lastUsed - b.lastUsed,
};

const SHORT_DIGITS = 12;
const FULL_DIGITS = 64;
const NS_PER_MS = 1_000_000;

/** `rkt image list`. */
export const listImages: Handler = async (context, { options }) => {
	const fields = readWords("fields", options.text("fields"), Object.keys(HEADERS) as Field[]);
	const sort = readWords("sort", options.text("sort"), Object.keys(SORTED_BY) as SortField[]);
	const format = options.text("format") as OutputFormat;
	const images = await readImages(context, fields.includes("kernel") || format !== "");
	const order = options.text("order") === "desc" ? -1 : 1;
	images.sort((a, b) => order * sort.reduce((result, field) => result || SORTED_BY[field](a, b), 0));
	if (format !== "") {
		printJson(images.length === 0 ? null : images.map(toJson), format);
		return 0;
	}
	const header = options.on("no-legend") ? [] : [fields.map((field) => HEADERS[field])];
	const now = new Date();
	const rows = images.map((image) => fields.map((field) => cell(image, field, options.on("full"), now)));
	writeStdout(formatTabTable([...header, ...rows]));
	return 0;
};

async function readImages(context: CommandContext, withKernels: boolean): Promise<ListedImage[]> {
	const { openStore } = await import("../../store/store.ts");
	const store = openStore(findDataDirectory(context), await loadSyscall());
	const images = store.list();
	const sizes = measureStore(store, images);
	return images.map((image) => ({
		...image,
		sizes: sizes.get(image.key) as ImageSizes,
		kernel: withKernels ? kernelOf(image, () => store.manifestText(image.key)) : undefined,
	}));
}

/** The record says it, unless it is older than that; no manifest is read then. */
function kernelOf(image: ImageRecord, readManifest: () => string): GuestKernel | undefined {
	if (image.layers !== undefined) return undefined;
	return image.guestKernel === undefined ? readKernel(readManifest) : (image.guestKernel ?? undefined);
}

/** An image with a damaged manifest is listed all the same; `rkt image verify` is there to tell. */
function readKernel(readManifest: () => string): GuestKernel | undefined {
	try {
		return readGuestKernel(JSON.parse(readManifest()));
	} catch (error) {
		if (error instanceof RktError) return undefined;
		throw error;
	}
}

function readWords<T extends string>(flagName: string, value: string, known: readonly T[]): T[] {
	const words = value.split(",").map((word) => OLD_WORDS[word] ?? word);
	for (const [index, word] of words.entries()) {
		if (!known.includes(word as T)) {
			invalidValue(
				flagName,
				value,
				`unknown word ${JSON.stringify(word)}`,
				`choose from ${known.join(", ")}`,
			);
		}
		if (words.indexOf(word) !== index) invalidValue(flagName, value, `${word} is repeated`);
	}
	return words as T[];
}

function cell(image: ListedImage, field: Field, full: boolean, now: Date): string {
	const time = (milliseconds: number): string =>
		full ? fullTime(new Date(milliseconds)) : relativeTime(new Date(milliseconds), now);
	switch (field) {
		case "id":
			return shortImageID(image.key, full ? FULL_DIGITS : SHORT_DIGITS);
		case "name":
			return fullName(image);
		case "size":
			return full ? String(image.sizes.total) : binarySize(image.sizes.total);
		case "shared":
			return full ? String(image.sizes.shared) : binarySize(image.sizes.shared);
		case "importtime":
			return time(image.importTime);
		case "lastused":
			return time(image.lastUsed);
		case "kernel":
			return image.kernel === undefined ? "" : kernelText(image.kernel, full);
	}
}

function kernelText({ release, source, sha512 }: GuestKernel, full: boolean): string {
	return full ? `${release} (${source}) sha512-${sha512}` : release;
}

function fullName(image: ImageRecord): string {
	const version = image.labels.find((label) => label.name === "version")?.value;
	return version === undefined ? image.name : `${image.name}:${version}`;
}

function toJson(image: ListedImage): Record<string, unknown> {
	return {
		id: shortImageID(image.key, FULL_DIGITS),
		name: fullName(image),
		import_time: image.importTime * NS_PER_MS,
		last_used_time: image.lastUsed * NS_PER_MS,
		size: image.sizes.total,
		shared_size: image.sizes.shared,
		...(image.kernel && { guest_kernel: image.kernel }),
	};
}
