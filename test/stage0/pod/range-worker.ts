import * as fs from "node:fs";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { allocateUserRange } from "../../../stage0/pod/allocate-user-range.ts";
import { podPlace } from "../../../stage0/pod/pod-directories.ts";

/** One process that gives ranges to pods: `DATA-DIRECTORY COUNT`. Prints the first id of each. */
const [dataDirectory = "", count = ""] = process.argv.slice(2);
const syscall = createLinuxSyscall();
const shifts = Array.from({ length: Number(count) }, () => {
	const uuid = fs.readFileSync("/proc/sys/kernel/random/uuid", "latin1").trim();
	const pod = podPlace(dataDirectory, "prepare", uuid).directory;
	fs.mkdirSync(pod);
	return allocateUserRange({ syscall, dataDirectory, pod }).shift;
});
process.stdout.write(`${shifts.join("\n")}\n`);
