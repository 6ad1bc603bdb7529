import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import * as z from "zod/mini";
import { enterPrivateHost } from "../support/private-host.ts";
import { createTestHost } from "../support/test-host.ts";

enterPrivateHost();

/** What docs/commands.md promises to programs. */
const REPORT = z.strictObject({
	ok: z.int(),
	warning: z.int(),
	missing: z.int(),
	checks: z.array(
		z.strictObject({
			area: z.string(),
			name: z.string(),
			status: z.enum(["ok", "warning", "missing"]),
			detail: z.string(),
			remedy: z.optional(z.string()),
		}),
	),
});

t.test("rkt doctor on this machine", async (t) => {
	const host = createTestHost("doctor");
	t.teardown(() => host.remove());
	const mounts = (): string => fs.readFileSync("/proc/self/mountinfo", "utf8");
	const before = { mounts: mounts(), files: fs.readdirSync(host.directory) };

	const result = await host.rkt(["doctor", "--format=json"]);
	const report = REPORT.parse(JSON.parse(result.stdout));
	const check = (name: string) => report.checks.find((one) => one.name === name);
	t.equal(report.checks.length, report.ok + report.warning + report.missing);
	t.equal(
		new Set(report.checks.map(({ area, name }) => `${area}/${name}`)).size,
		report.checks.length,
		"each once",
	);
	for (const { name, status, remedy } of report.checks) t.equal(remedy !== undefined, status !== "ok", name);
	for (const name of [
		"openat2",
		"mount_setattr",
		"seccomp",
		"namespaces",
		"overlay",
		"systemd-nspawn",
		"gpgv",
	]) {
		t.match(check(name), { status: "ok" }, name);
	}
	t.match(
		check("overlay over files with other owners"),
		{ status: "ok" },
		"as the tests with --private-users need it",
	);
	t.match(check("systemd in pods")?.detail, /^\d+/);
	t.equal(result.status, report.missing === 0 ? 0 : 1);
	t.strictSame({ mounts: mounts(), files: fs.readdirSync(host.directory) }, before, "it changes nothing");

	const text = await host.rkt(["doctor"]);
	t.equal(text.status, result.status);
	t.match(text.stdout, /^kernel\n {2}ok {7}/m);
	t.match(text.stdout, new RegExp(`${report.missing} missing\n$`));

	const policy = path.join(host.configDirectory, "policy.d");
	fs.mkdirSync(policy, { recursive: true });
	fs.writeFileSync(path.join(policy, "a.json"), "{");
	const broken = await host.rkt(["doctor", "--format=json"]);
	t.equal(broken.status, 1, "something is missing");
	const checks = REPORT.parse(JSON.parse(broken.stdout)).checks;
	t.match(
		checks.find(({ name }) => name === "policy"),
		{ status: "missing", detail: /a\.json/ },
	);
});
