/* A ptrace() for user-mode-linux on processors with AMX, loaded with LD_PRELOAD.
 *
 * User-mode-linux 6.1 sets its processes' floating point state with as many bytes as it knows of. The host's
 * kernel only takes the whole of it, which AMX has made four times as long (EFAULT otherwise). So: what
 * user-mode-linux does not know of is taken from what the process has.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char state[64 * 1024]; /* not on the stack: user-mode-linux' are small */

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	if ((request == PTRACE_GETREGSET || request == PTRACE_SETREGSET) && (long)address == NT_X86_XSTATE) {
		struct iovec *given = data;
		struct iovec whole = {state, sizeof state};
		if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, address, &whole) < 0)
			return -1;
		if (given->iov_len > whole.iov_len)
			given->iov_len = whole.iov_len;
		if (request == PTRACE_GETREGSET) {
			memcpy(given->iov_base, state, given->iov_len);
			return 0;
		}
		memcpy(state, given->iov_base, given->iov_len);
		return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, address, &whole);
	}
	/* The system call stores what it reads; the function of the C library returns it. */
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
		long value;
		errno = 0;
		return syscall(SYS_ptrace, request, pid, address, &value) < 0 ? -1 : value;
	}
	return syscall(SYS_ptrace, request, pid, address, data);
}
