import t from "tap";
import { probeNspawn } from "../stage1/isolation/probe-nspawn.ts";
import { onSystemdHost } from "../support/on-systemd-host.ts";

/* With version 2 of cgroups alone the pod's systemd restricts devices by programs of its own. */
if (onSystemdHost(t, ["unified"], 60) !== undefined) probeNspawn(t);
