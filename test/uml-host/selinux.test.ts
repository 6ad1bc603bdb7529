import { spawnSync } from "node:child_process";
import t from "tap";
import { createBusyboxHost } from "../support/busybox-host.ts";
import { onUmlHost } from "../support/on-uml-host.ts";

if (onUmlHost(t, ["security=selinux"], 100)) {
	t.test("a context is refused while SELinux has no policy, since it would mean nothing", async (t) => {
		t.equal(spawnSync("mount", ["-t", "selinuxfs", "selinuxfs", "/sys/fs/selinux"]).status, 0);
		const host = await createBusyboxHost("selinux");
		const value = { user: "system_u", role: "system_r", type: "container_t", level: "s0" };
		const isolators = [{ name: "os/linux/selinux-context", value }];
		await host.addImage("example.com/labelled", { app: { isolators } });
		const result = await host.rkt(["run", "--net=none", "example.com/labelled"]);
		t.equal(result.status, 254);
		t.match(result.stderr, "run: app labelled asks for SELinux, which this kernel does not have");
	});
}
