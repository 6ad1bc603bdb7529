#define _GNU_SOURCE
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

/* More than any kernel has. */
#define CAPABILITIES 64

bool drop_privileges(uid_t user, uint64_t capabilities)
{
	/* Of root the next program has all that is left in the bounding set, capabilities(7). */
	for (int capability = 0; capability < CAPABILITIES; capability++) {
		if (capabilities >> capability & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL)
			return false;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return false;
	return user == 0 || (setgroups(0, NULL) == 0 && setresgid(user, user, user) == 0 && setresuid(user, user, user) == 0);
}
