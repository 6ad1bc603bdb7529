#include "failure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void die(const char *what)
{
	dprintf(2, "monitor: %s: %s\n", what, strerror(errno));
	exit(FAILED);
}
