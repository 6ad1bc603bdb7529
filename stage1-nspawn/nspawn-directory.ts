import * as fs from "node:fs";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, type Syscall } from "../lib/syscall/syscall.ts";

const TMPFS_MAGIC = 0x01021994;
const NSPAWN_DIRECTORY = "/run/systemd/nspawn";

/** nspawn keeps a directory for each container there and removes it only from a tmpfs. */
export function mountNspawnDirectory(syscall: Syscall): void {
	if (fs.statfsSync("/run").type === TMPFS_MAGIC) return;
	fs.mkdirSync(NSPAWN_DIRECTORY, { recursive: true });
	syscall.mount("rkt", NSPAWN_DIRECTORY, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=1m");
}
