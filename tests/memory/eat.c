/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eat.c - eat MIB: allocate, write, say "ready N"; at a line of input give it
 * back and say "freed"; end with the input. N is what was had of MIB.
 *
 * eat MIB bomb: 40 children each of which eats as much. They end with their parent.
 */
#include <sys/prctl.h>

#include "../guest/t.h"

#define MIB (1ul << 20)
#define CHILDREN 40

static size_t eat(size_t mib, char **v)
{
	size_t n = 0;

	while (n < mib) {
		v[n] = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (v[n] == MAP_FAILED)
			break;
		memset(v[n++], 1, MIB);
	}
	return n;
}

static void wait_for_line(void)
{
	char c;

	while (read(0, &c, 1) == 1 && c != '\n')
		;
}

static size_t bomb(size_t mib, char **v)
{
	size_t n = 0;
	int told[2];
	char c;

	need("pipe", pipe(told));
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			eat(mib, v);
			if (write(told[1], "", 1) == 1)
				pause();
			_exit(0);
		}
		n += pid > 0;
	}
	close(told[1]);
	/* Some may be killed before they tell. */
	while (read(told[0], &c, 1) == 1 && --n)
		;
	return CHILDREN;
}

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, n;
	char **v = calloc(mib + 1, sizeof(*v));

	n = argc > 2 ? bomb(mib, v) : eat(mib, v);
	dprintf(1, "ready %zu\n", n);
	wait_for_line();
	for (size_t i = 0; argc == 2 && i < n; i++)
		munmap(v[i], MIB);
	dprintf(1, "freed\n");
	wait_for_line();
	return 0;
}
