import * as fs from "node:fs";
import * as path from "node:path";
import { runCommand } from "../../lib/process.ts";
import type { DoctorHost } from "./finding.ts";

/** The machine itself, or with another root what a test has put there. */
export function createDoctorHost(parts: Omit<DoctorHost, "read" | "at" | "run">, root = "/"): DoctorHost {
	const at = (file: string): string => path.join(root, file);
	return {
		...parts,
		at,
		read: (file) => {
			try {
				return fs.readFileSync(at(file), "utf8");
			} catch {
				return undefined;
			}
		},
		run: (program, args, options) => {
			try {
				return runCommand(program, args, { timeoutMs: 10_000, ...options });
			} catch {
				return undefined;
			}
		},
	};
}
