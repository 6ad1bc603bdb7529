import * as fs from "node:fs";
import * as path from "node:path";
import { imageManifest, makeAci } from "../../support/make-aci.ts";
import { createTestHost, type TestHost } from "../../support/test-host.ts";

/**
 * A stage1 of a few lines of shell, so that stage0 is tested without nspawn: it notes what it got, writes what a
 * stage1 must write, runs `$PROBE` in the pod directory and ends with status `$STATUS`, or sleeps with `$HOLD`.
 */
const RUN = `#!/bin/sh
echo $$ >ppid
for app in stage1/rootfs/opt/stage2/*; do echo "\${STATUS:-0}" >"stage1/rootfs/rkt/status/\${app##*/}"; done
[ -n "$PROBE" ] && sh -c "$PROBE"
[ -n "$HOLD" ] && { ln -s ready stage1/rootfs/rkt/supervisor-status; exec sleep 600; }
exit "\${STATUS:-0}"
`;
const GC = `#!/bin/sh
echo "gc $*" >>"$RECORD"
exit "\${GC_STATUS:-0}"
`;
const STOP = `#!/bin/sh
echo "stop $*" >>"$RECORD"
kill "$(cat ppid)"
`;
const ENTER = `#!/bin/sh
echo "enter $* in $(pwd) as $0"
exit 11
`;

export interface FakeHost extends TestHost {
	/** What gc and stop noted. */
	readonly recordFile: string;
	/** The environment that every rkt needs which may call them. */
	readonly environment: Record<string, string>;
	/** Flags in front of the images. */
	readonly stage1: string;
	readonly app: string;
	/** UUIDs with their directory, such as `run/UUID`. */
	pods(): string[];
}

/** A host whose store holds the fake stage1 and an app image with odd owners and modes. */
export async function createFakeHost(name: string): Promise<FakeHost> {
	const host = createTestHost(name);
	const stage1File = path.join(host.directory, "stage1.aci");
	const annotation = (key: string, value: string) => ({ name: `coreos.com/rkt/stage1/${key}`, value });
	await makeAci(stage1File, {
		manifest: {
			...imageManifest("example.com/fake-stage1", { app: null }),
			annotations: [
				...["run", "enter", "gc", "stop"].map((entry) => annotation(entry, `/${entry}`)),
				annotation("interface-version", "6"),
			],
		},
		files: {
			run: { text: RUN, mode: 0o755 },
			gc: { text: GC, mode: 0o755 },
			stop: { text: STOP, mode: 0o755 },
			enter: { text: ENTER, mode: 0o755 },
		},
	});
	const appFile = path.join(host.directory, "app.aci");
	const manifest = imageManifest("example.com/app", {
		app: { exec: ["/bin/app"], ports: [{ name: "web", protocol: "tcp", port: 80 }] },
	});
	await makeAci(appFile, {
		manifest,
		files: {
			etc: { directory: true },
			"etc/owned": { text: "content\n", mode: 0o4750, uid: 1000, gid: 1001 },
			link: { symlink: "/etc/passwd" },
		},
	});
	const recordFile = path.join(host.directory, "record");
	fs.writeFileSync(recordFile, "");
	const fetched = [stage1File, appFile].map((file) =>
		host.rkt(["--insecure-options=image", "fetch", "--full", file]),
	);
	const [stage1] = await Promise.all(fetched);
	const pods = (): string[] => {
		const directory = path.join(host.dataDirectory, "pods");
		if (!fs.existsSync(directory)) return [];
		return fs
			.readdirSync(directory)
			.flatMap((where) => fs.readdirSync(path.join(directory, where)).map((uuid) => `${where}/${uuid}`));
	};
	return {
		...host,
		recordFile,
		environment: { RECORD: recordFile },
		stage1: `--stage1-hash=${stage1?.stdout.trim()}`,
		app: "example.com/app",
		pods,
	};
}
