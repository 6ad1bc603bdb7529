import * as fs from "node:fs";
import type { AppLimits } from "../../appc/schema/app-isolators.ts";
import { fail, isErrno } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";

/** What a security module of the kernel takes for the program that an app becomes. */
export interface AppLabel {
	readonly module: "selinux" | "apparmor";
	readonly text: string;
}

/**
 * What the kernel has in a file while it works with the module. SELinux without a policy has the word `kernel` there: it
 * would take every context, and none would mean anything.
 */
const SIGNS = {
	selinux: { name: "SELinux", file: "/sys/fs/selinux/initial_contexts/kernel", works: /:/ },
	apparmor: { name: "AppArmor", file: "/sys/module/apparmor/parameters/enabled", works: /^Y/ },
} as const;

/** The names of all loaded profiles, apparmorfs: `NAME (MODE)`. */
const PROFILES = "/sys/kernel/security/apparmor/profiles";

/**
 * The label of an app from its isolators. Errors: `security-module-missing` where the kernel has no such module, and always
 * with a kernel of the pod's own, which has none; `selinux-context-invalid`; `apparmor-profile-unknown`; `isolators-conflict` for
 * both at once.
 */
export function appLabel(
	app: string,
	{ selinuxContext, apparmorProfile }: Pick<AppLimits, "selinuxContext" | "apparmorProfile">,
	ownKernel: boolean,
): AppLabel | undefined {
	if (selinuxContext !== undefined && apparmorProfile !== undefined) {
		fail("isolators-conflict", `app ${app} has both an SELinux context and an AppArmor profile`, {
			hint: "keep only the one that the kernel works with",
		});
	}
	if (selinuxContext !== undefined) {
		requireModule(app, "selinux", ownKernel);
		const { user, role, type, level } = selinuxContext;
		const text = `${user}:${role}:${type}:${level}`;
		requireContext(app, text);
		return { module: "selinux", text };
	}
	if (apparmorProfile === undefined) return undefined;
	requireModule(app, "apparmor", ownKernel);
	requireProfile(app, apparmorProfile);
	return { module: "apparmor", text: apparmorProfile };
}

function requireModule(app: string, module: AppLabel["module"], ownKernel: boolean): void {
	const { name, file, works } = SIGNS[module];
	if (!ownKernel && works.test(readTextIfExists(file) ?? "")) return;
	const kernel = ownKernel ? "the kernel of a virtual machine" : "this kernel";
	fail("security-module-missing", `app ${app} asks for ${name}, which ${kernel} does not have`, {
		hint: "remove the isolator from the image, or use a host with this security module",
	});
}

/** The kernel compares what is written there with its policy. Whoever may not ask learns it when the app starts. */
const CONTEXT = "/sys/fs/selinux/context";

function requireContext(app: string, context: string): void {
	try {
		fs.writeFileSync(CONTEXT, context, { flag: "r+" });
	} catch (error) {
		if (!isErrno(error, "EINVAL")) return;
		fail(
			"selinux-context-invalid",
			`app ${app} asks for the SELinux context ${context}, which the policy does not know`,
			{
				hint: "see seinfo -t and seinfo -r for what it knows, or correct the isolator of the image",
			},
		);
	}
}

/** Where the list cannot be read, and for names of stacks and namespaces, the kernel decides when the app starts. */
function requireProfile(app: string, profile: string): void {
	const list = readTextIfExists(PROFILES);
	if (list === undefined || profile === "unconfined" || /^:|\/\/&/.test(profile)) return;
	if (list.split("\n").some((line) => line.replace(/ \(\w+\)$/, "") === profile)) return;
	fail(
		"apparmor-profile-unknown",
		`app ${app} asks for the AppArmor profile ${profile}, which is not loaded`,
		{
			hint: "load it with apparmor_parser --add FILE, or remove the isolator from the image",
		},
	);
}
