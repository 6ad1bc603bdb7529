import * as fs from "node:fs";
import * as path from "node:path";

const UUID = "00000000-0000-4000-8000-00000000b00c";

const UNIT = `[Unit]
DefaultDependencies=no
Requires=systemd-journald.service
After=systemd-journald.service
SuccessAction=exit-force
FailureAction=exit-force

[Service]
ExecStart=/busybox echo hello
StandardOutput=journal+console
`;

/** Makes the root of stage1, unpacked in a directory, start a program that prints a line and ends it. */
export function completeMinimalRoot(root: string): void {
	const units = path.join(root, "etc/systemd/system");
	fs.mkdirSync(path.join(units, "default.target.wants"), { recursive: true });
	fs.writeFileSync(path.join(units, "hello.service"), UNIT);
	fs.symlinkSync("../hello.service", path.join(units, "default.target.wants/hello.service"));
	fs.copyFileSync("/bin/busybox", path.join(root, "busybox"));
	const machineId = UUID.replaceAll("-", "");
	fs.writeFileSync(path.join(root, "etc/machine-id"), `${machineId}\n`);
	fs.mkdirSync(path.join(root, "var/log/journal", machineId), { recursive: true });
}

/** systemd-nspawn that boots such a root, without anything of rkt. */
export function bootMinimalRoot(root: string, flags: readonly string[]): string[] {
	const ownFiles = ["--resolv-conf=off", "--timezone=off", "--link-journal=no"];
	const nspawn = ["--quiet", "--boot", `--directory=${root}`, `--uuid=${UUID}`, ...ownFiles, ...flags];
	return ["systemd-nspawn", ...nspawn, "--", "--log-target=null", "--show-status=0"];
}
