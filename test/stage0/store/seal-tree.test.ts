import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { type Syscall, SyscallError } from "../../../lib/syscall/syscall.ts";
import { openStore, type Store } from "../../../stage0/store/store.ts";
import { imageManifest, makeAci } from "../../support/make-aci.ts";

// A real kernel with fs-verity is in test/qemu-host/verity.test.ts. Here its part is played, to see what is made of its answers.

const linux = createLinuxSyscall();
const scratch = fs.mkdtempSync("/var/tmp/rkt-seal-test-");
t.teardown(() => fs.rmSync(scratch, { recursive: true, force: true }));

interface SealedStore {
	readonly store: Store;
	readonly key: string;
	readonly treeId: string;
	readonly file: string;
	/** How often files were to be sealed. */
	readonly calls: () => number;
}

async function renderedStore(
	name: string,
	verity: Partial<Pick<Syscall, "enableVerity" | "measureVerity">>,
): Promise<SealedStore> {
	let calls = 0;
	const enableVerity = (fd: number): void => {
		calls += 1;
		verity.enableVerity?.(fd);
	};
	const store = openStore(path.join(scratch, name), { ...linux, ...verity, enableVerity });
	const image = path.join(scratch, `${name}.aci`);
	const files = {
		etc: { directory: true },
		"etc/one": { text: "one\n" },
		"etc/two": { text: "two\n" },
	} as const;
	await makeAci(image, { manifest: imageManifest("example.com/app"), files });
	const { key } = await store.importAci(image, { source: image });
	const { treeId, rootfs } = await store.ensureTree(key);
	return { store, key, treeId, file: path.join(rootfs, "etc/one"), calls: () => calls };
}

t.test(
	"a file that the kernel knows under the recorded digest is not read again, unless all is",
	async (t) => {
		const { store, treeId, file, calls } = await renderedStore("known", { measureVerity: () => "ab" });
		t.equal(calls(), 2, "every file is sealed");
		fs.writeFileSync(file, "eno\n");
		await store.checkTree(treeId);
		await t.rejects(store.checkTree(treeId, { whole: true }), {
			code: "image-damaged",
			message: /\/etc\/one has other content/,
		});
	},
);

t.test("one that it knows under another digest, or not at all, is read", async (t) => {
	for (const answer of ["cd", undefined]) {
		let known: string | undefined = "ab";
		const { store, key, treeId, file } = await renderedStore(`other-${answer}`, {
			measureVerity: () => known,
		});
		known = answer;
		const now = new Date();
		fs.utimesSync(file, now, now);
		await store.checkTree(treeId);
		t.equal((await store.verifyTree(key)).state, "verified", "a copy is not sealed, and as good");
		fs.writeFileSync(file, "eno\n");
		await t.rejects(store.checkTree(treeId), {
			code: "image-damaged",
			message: /\/etc\/one has other content/,
		});
	}
});

t.test("where the file system cannot, one file tells", async (t) => {
	for (const code of ["ENOTTY", "ENOTSUP", "EINVAL"]) {
		const enableVerity = (): void => {
			throw new SyscallError("ioctl", code, 0, "");
		};
		const { store, key, calls } = await renderedStore(code, { enableVerity });
		t.equal(calls(), 1);
		t.equal((await store.verifyTree(key)).state, "verified");
	}
});

t.test("a disk that does not take it is no file system that cannot", async (t) => {
	const enableVerity = (): void => {
		throw new SyscallError("ioctl", "ENOSPC", 28, "");
	};
	await t.rejects(renderedStore("full", { enableVerity }), { code: "disk-full" });
});
