/** The ids of the host from `shift` on are those from 0 on in a user namespace. */
export interface OwnerRange {
	readonly shift: number;
	readonly count: number;
}

/** Nobody: what an id that is none of the namespace's is there. */
const OVERFLOW_ID = 65534;

const CAPABILITY = "security.capability";
/** linux/capability.h: bits 24 to 31 of the first word; version 3 has a fifth word, the id of the namespace's root. */
const VERSION_MASK = 0xff000000;
const VERSION_2 = 0x02000000;
const VERSION_3 = 0x03000000;
const VERSION_2_BYTES = 20;

/** linux/posix_acl_xattr.h: a version, then entries of tag, permissions and id, of which two kinds have an id. */
const ACL_HEADER = 4;
const ACL_ENTRY = 8;
const TAGS_WITH_ID = [0x02, 0x08];

/** An id of the host as the namespace sees it. */
export function unshiftId(id: number, range: OwnerRange | undefined): number {
	if (range === undefined) return id;
	const inside = id - range.shift;
	return inside >= 0 && inside < range.count ? inside : OVERFLOW_ID;
}

/** Extended attributes as the namespace sees them: ids stand in file capabilities and access control lists. */
export function unshiftAttributes(
	attributes: ReadonlyMap<string, Buffer>,
	range: OwnerRange | undefined,
): ReadonlyMap<string, Buffer> {
	if (range === undefined) return attributes;
	return new Map(
		[...attributes].flatMap(([name, value]): [string, Buffer][] => {
			if (name.startsWith("system.posix_acl_")) return [[name, unshiftAcl(value, range)]];
			if (name !== CAPABILITY) return [[name, value]];
			const own = unshiftCapability(value, range);
			return own === undefined ? [] : [[name, own]];
		}),
	);
}

/** Capabilities for the root of another namespace mean nothing in this one. */
function unshiftCapability(value: Buffer, range: OwnerRange): Buffer | undefined {
	const magic = value.length < 4 ? 0 : value.readUInt32LE(0);
	if ((magic & VERSION_MASK) >>> 0 !== VERSION_3 || value.length < VERSION_2_BYTES + 4) return value;
	if (value.readUInt32LE(VERSION_2_BYTES) !== range.shift) return undefined;
	const own = Buffer.from(value.subarray(0, VERSION_2_BYTES));
	own.writeUInt32LE(((magic & ~VERSION_MASK) | VERSION_2) >>> 0, 0);
	return own;
}

function unshiftAcl(value: Buffer, range: OwnerRange): Buffer {
	const own = Buffer.from(value);
	for (let at = ACL_HEADER; at + ACL_ENTRY <= own.length; at += ACL_ENTRY) {
		if (!TAGS_WITH_ID.includes(own.readUInt16LE(at))) continue;
		own.writeUInt32LE(unshiftId(own.readUInt32LE(at + 4), range), at + 4);
	}
	return own;
}
