import { shortImageID } from "../../../appc/types/image-id.ts";
import { writeStdout } from "../../../lib/log.ts";
import type { ImageRecord } from "../../store/image-record.ts";
import type { CommandContext, Handler } from "../command.ts";
import { binarySize, fullTime, relativeTime } from "../output/human.ts";
import { type OutputFormat, printJson } from "../output/print-json.ts";
import { formatTabTable } from "../output/tab-table.ts";
import { invalidValue } from "../values/scalars.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

type Field = "id" | "name" | "size" | "importtime" | "lastused";

const HEADERS: Readonly<Record<Field, string>> = {
	id: "ID",
	name: "NAME",
	size: "SIZE",
	importtime: "IMPORT TIME",
	lastused: "LAST USED",
};

/** The words of rkt 0.8. */
const OLD_WORDS: Readonly<Record<string, Field>> = { key: "id", appname: "name" };

const SORTED_BY: Readonly<Record<Exclude<Field, "id">, (a: ImageRecord, b: ImageRecord) => number>> = {
	name: (a, b) => (fullName(a) < fullName(b) ? -1 : fullName(a) > fullName(b) ? 1 : 0),
	size: (a, b) => totalSize(a) - totalSize(b),
	importtime: (a, b) => a.importTime - b.importTime,
	lastused: (a, b) => a.lastUsed - b.lastUsed,
};

const SHORT_DIGITS = 12;
const FULL_DIGITS = 64;
const NS_PER_MS = 1_000_000;

/** `rkt image list`. */
export const listImages: Handler = async (context, { options }) => {
	const fields = readWords("fields", options.text("fields"), Object.keys(HEADERS) as Field[]);
	const sort = readWords("sort", options.text("sort"), Object.keys(SORTED_BY) as Exclude<Field, "id">[]);
	const format = options.text("format") as OutputFormat;
	const images = await readImages(context);
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

async function readImages(context: CommandContext): Promise<ImageRecord[]> {
	const { openStore } = await import("../../store/store.ts");
	return openStore(findDataDirectory(context), await loadSyscall()).list();
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

function cell(image: ImageRecord, field: Field, full: boolean, now: Date): string {
	const time = (milliseconds: number): string =>
		full ? fullTime(new Date(milliseconds)) : relativeTime(new Date(milliseconds), now);
	switch (field) {
		case "id":
			return shortImageID(image.key, full ? FULL_DIGITS : SHORT_DIGITS);
		case "name":
			return fullName(image);
		case "size":
			return full ? String(totalSize(image)) : binarySize(totalSize(image));
		case "importtime":
			return time(image.importTime);
		case "lastused":
			return time(image.lastUsed);
	}
}

function fullName(image: ImageRecord): string {
	const version = image.labels.find((label) => label.name === "version")?.value;
	return version === undefined ? image.name : `${image.name}:${version}`;
}

function totalSize(image: ImageRecord): number {
	return image.size + image.treeStoreSize;
}

function toJson(image: ImageRecord): Record<string, unknown> {
	return {
		id: shortImageID(image.key, FULL_DIGITS),
		name: fullName(image),
		import_time: image.importTime * NS_PER_MS,
		last_used_time: image.lastUsed * NS_PER_MS,
		size: totalSize(image),
	};
}
