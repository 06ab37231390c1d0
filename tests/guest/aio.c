/* SPDX-License-Identifier: Apache-2.0 */
/* aio.c - the kernel's asynchronous I/O: io_setup, io_submit, io_getevents, eventfd */
#include <linux/aio_abi.h>

#include "t.h"

int main(void)
{
	aio_context_t ctx = 0;
	char out[512], in[512] = "";
	struct iocb w = { .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_buf = (uintptr_t)out,
			  .aio_nbytes = sizeof(out), .aio_data = 1 };
	struct iocb r = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_buf = (uintptr_t)in,
			  .aio_nbytes = sizeof(in), .aio_data = 2 };
	struct iocb *list[1];
	struct io_event ev;

	enter_dir();
	say("io_setup", syscall(SYS_io_setup, 8, &ctx));
	if (!ctx)
		return 0;
	w.aio_fildes = r.aio_fildes = need("open", open("file", O_RDWR | O_CREAT, 0600));
	memset(out, 'a', sizeof(out));
	list[0] = &w;
	say_number("submit a write", syscall(SYS_io_submit, ctx, 1, list));
	say_number("its event", syscall(SYS_io_getevents, ctx, 1, 1, &ev, NULL));
	check("it wrote all", ev.data == 1 && ev.res == sizeof(out));
	list[0] = &r;
	say_number("submit a read", syscall(SYS_io_submit, ctx, 1, list));
	say_number("its event", syscall(SYS_io_getevents, ctx, 1, 1, &ev, NULL));
	check("it read the same", ev.res == sizeof(in) && memcmp(in, out, sizeof(in)) == 0);
	say("io_destroy", syscall(SYS_io_destroy, ctx));
	return t_failed;
}
