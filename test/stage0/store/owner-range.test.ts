import t from "tap";
import { unshiftAttributes, unshiftId } from "../../../stage0/store/owner-range.ts";

const range = { shift: 131072, count: 65536 };

t.test("ids", async (t) => {
	t.equal(unshiftId(131072, range), 0);
	t.equal(unshiftId(131072 + 65535, range), 65535);
	t.equal(unshiftId(131071, range), 65534, "before the range");
	t.equal(unshiftId(131072 + 65536, range), 65534, "after it");
	t.equal(unshiftId(5, undefined), 5);
});

t.test("file capabilities of the namespace's root become those of root", async (t) => {
	const words = [0x03000001, 0x400, 0, 0, 0, range.shift];
	const value = Buffer.alloc(24);
	for (const [index, word] of words.entries()) value.writeUInt32LE(word, index * 4);
	const own = unshiftAttributes(new Map([["security.capability", value]]), range).get("security.capability");
	t.equal(own?.toString("hex"), "0100000200040000000000000000000000000000");
	value.writeUInt32LE(7, 20);
	t.equal(
		unshiftAttributes(new Map([["security.capability", value]]), range).size,
		0,
		"of another namespace",
	);
	const second = Buffer.from("0100000200040000000000000000000000000000", "hex");
	t.equal(
		unshiftAttributes(new Map([["security.capability", second]]), range).get("security.capability"),
		second,
	);
});

t.test("ids in access control lists", async (t) => {
	const acl = Buffer.alloc(4 + 3 * 8);
	acl.writeUInt32LE(2, 0);
	const entries = [
		[0x01, 6, 0xffffffff],
		[0x02, 4, range.shift + 1000],
		[0x08, 4, 3],
	] as const;
	for (const [index, [tag, permissions, id]] of entries.entries()) {
		acl.writeUInt16LE(tag, 4 + index * 8);
		acl.writeUInt16LE(permissions, 6 + index * 8);
		acl.writeUInt32LE(id, 8 + index * 8);
	}
	const name = "system.posix_acl_access";
	const own = unshiftAttributes(new Map([[name, acl]]), range).get(name) as Buffer;
	t.strictSame(
		[8, 16, 24].map((at) => own.readUInt32LE(at)),
		[0xffffffff, 1000, 65534],
	);
});
