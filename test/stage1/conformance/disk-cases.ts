import * as fs from "node:fs";
import * as path from "node:path";
import { describeDevice } from "../../../stage1/volumes/device-node.ts";
import type { MiniApp } from "../../support/mini-stage0.ts";
import { type ConformanceCase, type Fixtures, shellApp } from "./cases.ts";

/** Block devices of the host as volumes: two of them, which the cases write on. */
export function diskCases(fixtures: Fixtures, disks: readonly [string, string]): ConformanceCase[] {
	const [first, second] = disks;
	const app = (name: string, volumes: readonly string[], script: string): MiniApp => {
		const mounts = volumes.map((volume) => ({ volume, path: `/${volume}` }));
		return shellApp(fixtures, script, { runtime: { mounts } }, name);
	};
	const disk = { name: "disk", kind: "host", source: first };
	// All that separates options of a hypervisor, its words, and the parts of its files.
	const hostile = path.join(path.dirname(fixtures.volume), "a,readonly=on b\nc:d ubd1=x");
	fs.symlinkSync(first, hostile);
	const meet = { name: "meet", kind: "empty", mode: "0777" };
	return [
		{
			name: "a disk with a hostile path is written and read",
			apps: [
				app("app", ["disk"], "echo written >/disk; head -c 8 /disk; [ -b /disk ] && stat -c '%a %u' /disk"),
			],
			manifest: { volumes: [{ ...disk, source: hostile }] },
			status: 0,
			lines: ["written", "600 0"],
			exact: true,
		},
		{
			name: "what was written is on the disk, and a read-only one is not changed",
			apps: [app("app", ["disk"], "head -c 8 /disk; echo changed >/disk || echo refused; head -c 8 /disk")],
			manifest: { volumes: [{ ...disk, readOnly: true }] },
			status: 0,
			lines: ["written", /(not permitted|denied|Read-only)/, "refused", "written"],
			exact: true,
		},
		{
			name: "disks in the app's /dev, one of them read-only",
			apps: [
				shellApp(
					fixtures,
					`echo in dev >/dev/disk; head -c 7 /dev/disk; echo x >/dev/sub/disk || echo refused
					[ -b /dev/disk ] && [ -b /dev/sub/disk ] && echo both; echo x >/dev/null && ls -d /dev/pts/ptmx`,
					{
						runtime: {
							mounts: [
								{ volume: "disk", path: "/dev/disk" },
								{ volume: "other", path: "/dev/sub/disk" },
							],
						},
					},
				),
			],
			manifest: {
				volumes: [disk, { name: "other", kind: "host", source: second, readOnly: true }],
			},
			status: 0,
			lines: ["in dev", /(not permitted|denied|Read-only)/, "refused", "both", "/dev/pts/ptmx"],
			exact: true,
		},
		{
			name: "each of two apps has its own disk and none of the other's",
			apps: [
				// systemd has another name for the cgroup of this one.
				app("memory", ["first", "meet"], exploreOther("memory", "two", "first", "second", disks)),
				app("two", ["second", "meet"], exploreOther("two", "memory", "second", "first", disks)),
			],
			manifest: {
				volumes: [{ ...disk, name: "first" }, { name: "second", kind: "host", source: second }, meet],
			},
			status: 0,
			lines: ["memory own first", "memory done", "two own second", "two done"],
			exact: true,
		},
		{
			name: "a disk is read-only for one app and not for another",
			apps: [
				app(
					"reader",
					["reading", "meet"],
					`until [ -e /meet/writer ]; do sleep 0.05; done; head -c 6 /reading
					echo broken 2>/dev/null >/reading || echo refused
					chmod 666 /reading 2>/dev/null; echo broken 2>/dev/null >/reading || echo still refused
					for path in /proc/[0-9]*/root/writing; do
						(echo broken >$path) 2>/dev/null && echo wrote $path
					done; touch /meet/reader`,
				),
				app(
					"writer",
					["writing", "meet"],
					"echo fresh >/writing; touch /meet/writer; until [ -e /meet/reader ]; do sleep 0.05; done; head -c 6 /writing",
				),
			],
			manifest: {
				volumes: [{ ...disk, name: "reading", readOnly: true }, { ...disk, name: "writing" }, meet],
			},
			status: 0,
			lines: ["fresh", "fresh", "refused", "still refused"],
			exact: true,
		},
	];
}

/** Prints what of the other app's disk can be opened: through its processes, and by the numbers that it may have. */
function exploreOther(
	own: string,
	other: string,
	mine: string,
	theirs: string,
	disks: readonly string[],
): string {
	const onHost = disks.map((device) => describeDevice(fs.statSync(device)));
	const numbers = [
		...onHost.map(({ major, minor }) => `${major} ${minor}`),
		// Disks of User-Mode Linux and of virtio.
		...["98", "252", "253", "254"].flatMap((major) => [`${major} 0`, `${major} 16`]),
	];
	return `echo ${mine} >/${mine}; touch /meet/${own}; until [ -e /meet/${other} ]; do sleep 0.05; done
		echo ${own} own $(head -n 1 /${mine} | head -c ${mine.length})
		[ -e /${theirs} ] && echo ${own} sees /${theirs}
		for path in /proc/[0-9]*/root/${theirs}; do
			head -c 1 $path >/dev/null 2>&1 && echo ${own} opened $path
		done
		for numbers in ${numbers.map((one) => `"${one}"`).join(" ")}; do
			rm -f /node; mknod /node b $numbers 2>/dev/null && head -c 1 /node >/dev/null 2>&1 && echo ${own} opened $numbers
		done
		echo ${own} done; touch /meet/${own}-done; until [ -e /meet/${other}-done ]; do sleep 0.05; done`;
}
