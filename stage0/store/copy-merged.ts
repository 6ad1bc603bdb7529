import * as fs from "node:fs";
import { belowRootfs, createTarPacker } from "../../appc/aci/tar-pack.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { mergedEntries } from "./merged-entries.ts";
import { startTarExtractor } from "./tar-extractor.ts";

/**
 * Copies the union of directories, uppermost first, with owners, modes, times, links, ACLs and capabilities.
 * Errors: `tree-not-written`, `disk-full`.
 */
export async function copyMerged(syscall: Syscall, lowers: readonly string[], target: string): Promise<void> {
	fs.mkdirSync(target, { recursive: true, mode: 0o755 });
	const extractor = startTarExtractor(target);
	const packer = createTarPacker((chunk) => extractor.write(chunk));
	try {
		for (const { entry, body } of mergedEntries(lowers, syscall, { linkAll: true }))
			await packer.add(belowRootfs(entry), body);
		await packer.finish();
		await extractor.finish();
	} catch (error) {
		await extractor.abort();
		throw error;
	}
}
