import t from "tap";
import { createFakeSyscall } from "../../lib/syscall/fake.ts";
import { podSysctls, setSysctls, sysctlText } from "../../stage1/security/sysctls.ts";

const OWN = { network: false, ipc: false };
const one = (name: string, value = "1") => [{ app: "web", sysctls: { [name]: value } }];

t.test("parameters of the namespaces of a pod", (t) => {
	const sysctls = podSysctls(
		[
			{ app: "web", sysctls: { "net.core.somaxconn": "64", "net/ipv4/conf/eth0.100/forwarding": "1" } },
			{
				app: "worker",
				sysctls: { "net/core/somaxconn": "64", "kernel.sem": "1\t2\t3\t4", "fs.mqueue.msg_max": "9" },
			},
			{ app: "none", sysctls: undefined },
			{ app: "named", sysctls: { "kernel.domainname": "d" } },
		],
		OWN,
	);
	const text =
		"net/core/somaxconn=64\nnet/ipv4/conf/eth0.100/forwarding=1\nkernel/sem=1\t2\t3\t4\nfs/mqueue/msg_max=9\nkernel/domainname=d\n";
	t.equal(sysctlText(sysctls), text);
	t.strictSame(podSysctls(one("net.ipv4.conf.eth0/100.forwarding"), OWN).network, [
		["net/ipv4/conf/eth0.100/forwarding", "1"],
	]);
	t.end();
});

t.test("what is not a pod's own is refused", (t) => {
	const refused = [
		"kernel.core_pattern",
		"vm.swappiness",
		"net",
		"net.",
		"/net/core/somaxconn",
		"kernel.shmmax.x",
	];
	const paths = [
		"net/../kernel/core_pattern",
		"net/./x",
		"net//x",
		"kernel/../fs/mqueue/x",
		"fs.mqueue./x",
		"kernel.hostname",
	];
	for (const name of [...refused, ...paths]) {
		t.throws(() => podSysctls(one(name), OWN), { code: "sysctl-refused" }, name);
	}
	t.throws(() => podSysctls(one("net.core.somaxconn"), { ...OWN, network: true }), {
		code: "sysctl-refused",
	});
	t.throws(() => podSysctls(one("kernel.shmmax"), { ...OWN, ipc: true }), { code: "sysctl-refused" });
	t.throws(() => podSysctls(one("kernel.domainname", "x".repeat(65)), OWN), { code: "sysctl-failed" });
	const both = [...one("net.core.somaxconn", "1"), { app: "worker", sysctls: { "net/core/somaxconn": "2" } }];
	t.throws(() => podSysctls(both, OWN), { code: "sysctl-conflict", message: /apps web and worker/ });
	t.throws(() => setSysctls(createFakeSyscall(), podSysctls(one("net.no.such.thing"), OWN)), {
		code: "sysctl-failed",
	});
	t.end();
});
