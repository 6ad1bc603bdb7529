import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { enterPrivateHost } from "../support/private-host.ts";
import { createEscapeHost } from "./escape-host.ts";

/* CVE-2026-40226: a settings file that is called like the machine, on the host or beside the image, changes the container. */

enterPrivateHost();

const SETTINGS = `[Exec]
Hostname=taken-over
NoNewPrivileges=yes
Environment=TAKEN=over
[Network]
Private=yes
[Files]
Bind=/etc:/rkt/env
`;

t.test("no .nspawn file counts", async (t) => {
	const host = createEscapeHost(t);
	const app = host.shell("echo name $(hostname); grep NoNewPrivs /proc/self/status; echo done");
	const pod = host.stage0.prepare([app]);
	const machine = `rkt-${pod.uuid}`;
	const places = ["/etc/systemd/nspawn", "/run/systemd/nspawn", path.join(pod.directory, "stage1")];
	for (const place of places) {
		fs.mkdirSync(place, { recursive: true });
		for (const name of [machine, "rootfs"]) {
			const file = path.join(place, `${name}.nspawn`);
			fs.writeFileSync(file, SETTINGS);
			t.teardown(() => fs.rmSync(file, { force: true }));
		}
	}
	const result = await host.stage0.run(pod, ["--hostname=own"], {
		environment: { SYSTEMD_NSPAWN_SETTINGS: "1" },
	});
	t.match(result.stdout, /name own\n/);
	t.match(result.stdout, /NoNewPrivs:\t0\n/);
	host.stage0.remove(pod);
});
