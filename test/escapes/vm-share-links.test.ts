import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { readExitStatuses } from "../../stage1/pod-record.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { ALMIGHTY, createEscapeHost } from "./escape-host.ts";

/*
 * CVE-2026-47243, CVE-2016-7116: links that a guest makes in the files that it shares with the host, by 9p or hostfs, lead
 * nowhere but in the guest; neither whoever serves the files nor what reads the pod's records follows them.
 */

enterPrivateHost();

for (const flavor of ["kvm-uml", "kvm"]) {
	t.test(flavor, async (t) => {
		const host = createEscapeHost(t, { flavor });
		const secret = path.join(host.directory, "secret");
		fs.writeFileSync(secret, "42\n");
		const script = `ln -s ${secret} /data/link; ln -s ${host.directory} /data/dir; ln -s / /data/root
			cat /data/link /data/dir/secret /data/root/${secret} /data/../../../..${secret}
			cd /proc/1/root/rkt || exit 3; cat /proc/1/root${secret} ../../../../..${secret}
			rm -f status/app pod-status supervisor-status
			ln -s ${secret} status/app; ln -s ${secret} pod-status; ln -s ${secret} reason/app; echo linked; exit 7`;
		const volumes = [{ name: "data", kind: "host", source: host.fixtures.volume }];
		const mounts = { runtime: { mounts: [{ volume: "data", path: "/data" }] } };
		const pod = host.stage0.prepare([host.shell(script, mounts)], { volumes });
		const result = await host.stage0.run(pod, ALMIGHTY);
		t.notMatch(result.stdout, /\b42\b/, "the guest does not see the host's file");
		t.match(result.stdout, /No such file or directory.*linked/s);
		t.not(result.status, 42, "its status is not read through a link");
		t.equal(fs.readlinkSync(path.join(host.fixtures.volume, "link")), secret, "the link is there");
		t.not(readExitStatuses(pod.directory, ["app"]).get("app"), 42);
		t.equal(fs.readFileSync(secret, "utf8"), "42\n", "nothing was written through a link");
		host.stage0.remove(pod);
	});
}
