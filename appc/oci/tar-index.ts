import type { ByteReader } from "../aci/byte-reader.ts";
import { paxInteger } from "../aci/pax.ts";
import { refuseAci, refuseTruncated } from "../aci/refuse.ts";
import { isSparse } from "../aci/sparse-map.ts";
import { extend, NO_EXTENSIONS } from "../aci/tar-extensions.ts";
import { BLOCK, decodeHeader, isZeroBlock, type RawHeader } from "../aci/tar-header.ts";

/** Where a file lies in an archive. */
export type TarMember =
	| { readonly type: "file"; readonly offset: number; readonly size: number }
	/** `target` is the name of another member. */
	| { readonly type: "link"; readonly target: string };

/** An archive that can be read from any place. */
export interface TarBytes {
	readonly size: number;
	read(offset: number, length: number): Buffer;
}

const MAX_MEMBERS = 100_000;
const MAX_LINKS = 8;

/**
 * The regular files and links of an archive that holds images, by their names without leading `./`. Bodies are passed
 * over, not read. Errors: `aci-invalid`, `aci-truncated`.
 */
export async function indexTar(bytes: TarBytes, source: string): Promise<ReadonlyMap<string, TarMember>> {
	const members = new Map<string, TarMember>();
	const reader = seekingReader(bytes);
	let extensions = NO_EXTENSIONS;
	for (let count = 0; ; count++) {
		if (count > MAX_MEMBERS) refuseAci(source, `it has more than ${MAX_MEMBERS} entries`);
		const block = await reader.read(BLOCK);
		if (block.length < BLOCK) refuseTruncated(source, "where another entry or the end mark should be");
		if (isZeroBlock(block)) return members;
		const header = decodeHeader(block);
		if (typeof header === "string") return refuseAci(source, header);
		if ("xgLK".includes(header.flag)) {
			extensions = await extend(reader, header, extensions, source);
			continue;
		}
		const { pax, longName, longLink } = extensions;
		// Its files are read in pieces, from where they lie.
		if (isSparse(header, pax)) refuseAci(source, "it has a sparse file: make the archive without --sparse");
		const name = plainName(pax?.get("path")?.toString("latin1") ?? longName ?? header.name);
		const link = pax?.get("linkpath")?.toString("latin1") ?? longLink ?? header.linkName;
		const size = bodySize(header, pax?.get("size"), source);
		const member = toMember(header.flag, name, link, { offset: reader.position(), size });
		if (member && members.has(name)) refuseAci(source, `it has two entries called ${JSON.stringify(name)}`);
		if (member) members.set(name, member);
		if (reader.position() + size > bytes.size) refuseTruncated(source, "inside a file");
		await reader.skip(Math.ceil(size / BLOCK) * BLOCK);
		extensions = NO_EXTENSIONS;
	}
}

/** The file that a name means, through links; undefined when there is none, or only a circle of links. */
export function findMember(
	members: ReadonlyMap<string, TarMember>,
	name: string,
): Extract<TarMember, { type: "file" }> | undefined {
	let member = members.get(plainName(name));
	for (let links = 0; member?.type === "link"; links++) {
		if (links === MAX_LINKS) return undefined;
		member = members.get(member.target);
	}
	return member;
}

function toMember(
	flag: string,
	name: string,
	link: string,
	place: { readonly offset: number; readonly size: number },
): TarMember | undefined {
	switch (flag) {
		case "0":
		case "7":
			return { type: "file", ...place };
		case "1":
			return { type: "link", target: plainName(link) };
		case "2":
			return { type: "link", target: plainName(name.replace(/[^/]*$/, "") + link) };
		default:
			return undefined;
	}
}

function bodySize(header: RawHeader, pax: Buffer | undefined, source: string): number {
	if (header.flag === "1" || header.flag === "2") return 0;
	const size = pax === undefined ? header.size : paxInteger(pax);
	return size === undefined || size < 0
		? refuseAci(source, `${JSON.stringify(header.name)} has an impossible size`)
		: size;
}

/** Without `.` and `..`, which never lead out of the archive because names are only looked up. */
function plainName(name: string): string {
	const parts: string[] = [];
	for (const part of name.split("/")) {
		if (part === "..") parts.pop();
		else if (part !== "" && part !== ".") parts.push(part);
	}
	return parts.join("/");
}

function seekingReader(bytes: TarBytes): Pick<ByteReader, "read" | "skip"> & { position(): number } {
	let at = 0;
	return {
		position: () => at,
		read: async (length) => {
			const data = bytes.read(at, length);
			at += data.length;
			return data;
		},
		skip: async (length) => {
			const passed = Math.min(length, Math.max(0, bytes.size - at));
			at += length;
			return passed;
		},
	};
}
