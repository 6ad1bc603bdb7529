import t from "tap";
import { evaluateRules } from "../../../stage0/policy/evaluate.ts";
import type { PodAppFacts, PodFacts, Rule } from "../../../stage0/policy/policy.ts";

const FINGERPRINT = "openpgp:0123456789abcdef0123456789abcdef01234567";
const STAGE1_ID = `sha512-${"a".repeat(128)}`;

const LINKS: Readonly<Record<string, string | undefined>> = {
	"/srv/link": "/srv/tenants",
	"/srv/tenants/out": "/etc",
	"/srv/tenants/gone": undefined,
};

function app(more: Partial<PodAppFacts> & { image?: PodAppFacts["image"] } = {}): PodAppFacts {
	return {
		name: "web",
		image: { name: "example.com/tenants/web", signers: [FINGERPRINT] },
		capabilities: ["CAP_CHOWN", "CAP_KILL"],
		defaultSeccomp: true,
		...more,
	};
}

function pod(more: Partial<PodFacts> = {}): PodFacts {
	return {
		callers: [{ names: ["user:1000", "user:alice", "group:100", "group:tenants"] }],
		apps: [app()],
		stage1: { id: STAGE1_ID, bundled: "nspawn", name: "example.com/stage1" },
		hostNetwork: false,
		hostIpc: false,
		insecure: [],
		volumes: [],
		privateUsers: false,
		resolve: (path) => (path in LINKS ? LINKS[path] : path),
		...more,
	};
}

function verdict(
	rule: Omit<Rule, "name">,
	facts: PodFacts,
): { applies: boolean; reasons: readonly string[] } {
	const [first] = evaluateRules([{ file: "/etc/rkt/policy.d/a.json", rule: { name: "r", ...rule } }], facts);
	return { applies: first?.applies ?? false, reasons: first?.reasons ?? [] };
}

const other = { name: "other", image: { name: "example.org/other", signers: ["unsigned"] } };

const SELECTED: readonly (readonly [
	what: string,
	rule: Pick<Rule, "match" | "except">,
	facts: PodFacts,
	applies: boolean,
])[] = [
	["without selectors every pod", {}, pod(), true],
	["the name itself", { match: { images: ["example.com/tenants/web"] } }, pod(), true],
	["a name above", { match: { images: ["example.com"] } }, pod(), true],
	[
		"whole components only",
		{ match: { images: ["example.com/ten", "example.com/tenants/we"] } },
		pod(),
		false,
	],
	["one of several names", { match: { images: ["example.org", "example.com/tenants"] } }, pod(), true],
	["one of several apps", { match: { images: ["example.org"] } }, pod({ apps: [app(), app(other)] }), true],
	["a signer", { match: { signers: [FINGERPRINT] } }, pod(), true],
	["nobody signed", { match: { signers: ["unsigned"] } }, pod(), false],
	[
		"a dependency that nobody signed",
		{ match: { signers: ["unsigned"] } },
		pod({ apps: [app({ image: { name: "a", signers: [FINGERPRINT, "unsigned"] } })] }),
		true,
	],
	["a user by name", { match: { callers: ["user:alice"] } }, pod(), true],
	["a user by number", { match: { callers: ["user:1000"] } }, pod(), true],
	["a group", { match: { callers: ["group:tenants"] } }, pod(), true],
	["a user of the name of a group", { match: { callers: ["user:tenants"] } }, pod(), false],
	["all members of a selector", { match: { images: ["example.com"], callers: ["user:bob"] } }, pod(), false],
	["an exception", { except: { callers: ["user:alice"] } }, pod(), false],
	["an exception for another", { except: { callers: ["user:bob"] } }, pod(), true],
	[
		"an exception holds for a pod when it holds for all of its apps",
		{ except: { images: ["example.com"] } },
		pod({ apps: [app(), app(other)] }),
		true,
	],
	[
		"an exception holds when it holds for whoever SUDO_UID adds as well",
		{ except: { callers: ["user:root"] } },
		pod({ callers: [{ names: ["user:0", "user:root"] }, { names: ["user:1000", "user:alice"] }] }),
		true,
	],
	[
		"an image that is matched and another that is excepted do not cancel each other",
		{ match: { images: ["example.org"] }, except: { signers: [FINGERPRINT] } },
		pod({ apps: [app(), app(other)] }),
		true,
	],
];

t.test("which pods a rule is about", async (t) => {
	for (const [what, rule, facts, applies] of SELECTED) {
		t.equal(verdict({ ...rule, deny: true }, facts).applies, applies, what);
	}
});

type LimitCase = readonly [
	what: string,
	rule: Omit<Rule, "name">,
	facts: PodFacts,
	reason: RegExp | undefined,
];

const LIMITED: readonly LimitCase[] = [
	["deny", { deny: true }, pod(), /allows no such pod/],
	["a stage1 that is listed", { stage1: ["kvm", "nspawn"] }, pod(), undefined],
	["a stage1 that is not listed", { stage1: ["kvm"] }, pod(), /stage1 image nspawn, allowed: kvm/],
	[
		"a stage1 by its id",
		{ stage1: [STAGE1_ID] },
		pod({ stage1: { id: STAGE1_ID, bundled: undefined, name: "x" } }),
		undefined,
	],
	[
		"a foreign stage1 where the rule says nothing of stage1",
		{ hostNetwork: false },
		pod({ stage1: { id: STAGE1_ID, bundled: undefined, name: "example.com/evil" } }),
		/example.com\/evil is not one of rkt's own/,
	],
	[
		"a foreign stage1 that only has the name of one of ours",
		{ stage1: ["kvm"] },
		pod({ stage1: { id: undefined, bundled: undefined, name: "kvm" } }),
		/allowed: kvm/,
	],
	["the host's network", { hostNetwork: false }, pod({ hostNetwork: true }), /network of the host/],
	["another network", { hostNetwork: false }, pod(), undefined],
	["a network that is not decided", { hostNetwork: false }, pod({ hostNetwork: undefined }), undefined],
	["the host's IPC", { hostIpc: false }, pod({ hostIpc: true }), /IPC/],
	[
		"insecure options",
		{ insecureOptions: ["image"] },
		pod({ insecure: ["image", "paths"] }),
		/has paths, allowed: image/,
	],
	["no insecure options", { insecureOptions: [] }, pod(), undefined],
	[
		"insecure options where none are allowed",
		{ insecureOptions: [] },
		pod({ insecure: ["tls"] }),
		/has tls, allowed: none/,
	],
	[
		"a volume below",
		{ hostVolumes: ["/srv/tenants"] },
		pod({ volumes: [{ name: "v", source: "/srv/tenants/a" }] }),
		undefined,
	],
	[
		"the directory itself",
		{ hostVolumes: ["/srv/tenants"] },
		pod({ volumes: [{ name: "v", source: "/srv/tenants" }] }),
		undefined,
	],
	[
		"a directory that is a link",
		{ hostVolumes: ["/srv/link"] },
		pod({ volumes: [{ name: "v", source: "/srv/tenants/a" }] }),
		undefined,
	],
	[
		"a name that only begins alike",
		{ hostVolumes: ["/srv/ten"] },
		pod({ volumes: [{ name: "v", source: "/srv/tenants" }] }),
		/volume v is \/srv\/tenants, allowed/,
	],
	[
		"a link out of it",
		{ hostVolumes: ["/srv/tenants"] },
		pod({ volumes: [{ name: "v", source: "/srv/tenants/out" }] }),
		/leads to \/etc/,
	],
	[
		"a source that leads nowhere",
		{ hostVolumes: ["/srv/tenants"] },
		pod({ volumes: [{ name: "v", source: "/srv/tenants/gone" }] }),
		/nothing allowed/,
	],
	[
		"a directory that is not there",
		{ hostVolumes: ["/srv/tenants/gone"] },
		pod({ volumes: [{ name: "v", source: "/srv/tenants/a" }] }),
		/volume v/,
	],
	[
		"no volumes at all",
		{ hostVolumes: [] },
		pod({ volumes: [{ name: "v", source: "/srv/a" }] }),
		/allowed: none/,
	],
	["everything", { hostVolumes: ["/"] }, pod({ volumes: [{ name: "v", source: "/srv/a" }] }), undefined],
	["capabilities", { capabilities: ["CAP_KILL"] }, pod(), /app web has CAP_CHOWN, allowed: CAP_KILL/],
	[
		"capabilities that are all allowed",
		{ capabilities: ["CAP_KILL", "CAP_CHOWN", "CAP_FOWNER"] },
		pod(),
		undefined,
	],
	[
		"a filter that allows more",
		{ seccomp: "default" },
		pod({ apps: [app({ defaultSeccomp: false })] }),
		/app web may make system calls/,
	],
	["no filter", { seccomp: "default" }, pod({ insecure: ["seccomp"] }), /lifts the filter/],
	["the default filter", { seccomp: "default" }, pod(), undefined],
	["no user namespace", { privateUsers: true }, pod(), /--private-users/],
	["a user namespace", { privateUsers: true }, pod({ privateUsers: true }), undefined],
];

t.test("what a rule asks of a pod", async (t) => {
	for (const [what, rule, facts, reason] of LIMITED) {
		const { reasons } = verdict(rule, facts);
		if (reason === undefined) t.strictSame(reasons, [], what);
		else t.match(reasons.join("; "), reason, what);
	}
});

t.test("all rules that apply count, in any order, and their limits add up", async (t) => {
	const facts = pod({ hostNetwork: true, volumes: [{ name: "v", source: "/srv/tenants/a" }] });
	const wide = { name: "wide", hostVolumes: ["/srv"], hostNetwork: false as const, insecureOptions: [] };
	const narrow = { name: "narrow", hostVolumes: ["/srv/other"] };
	const rules = [wide, narrow].map((rule) => ({ file: "f", rule }));
	const refused = (list: typeof rules): string[] =>
		evaluateRules(list, facts)
			.flatMap(({ rule, reasons }) => reasons.map(() => rule))
			.sort();
	t.strictSame(refused(rules), ["narrow", "wide"]);
	t.strictSame(refused([...rules].reverse()), ["narrow", "wide"]);
	t.strictSame(
		evaluateRules(rules, pod()).flatMap(({ reasons }) => reasons),
		[],
		"and allow what keeps to them",
	);
});
