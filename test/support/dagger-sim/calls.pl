# System calls without modules: to load POSIX takes several times the processor time in which Perl starts.
use strict;
our %CALLS;
open(my $self, '<', '/proc/self/exe') or die "own program: $!\n";
read($self, my $head, 20) == 20 or die "own program: $!\n";
close $self;
# The machine for which the program was compiled: AArch64, or else x86-64.
@CALLS{qw(close dup3 exit_group mount prctl setgid setns setsid setuid unshare)} =
  unpack('x18 v', $head) == 183 ? (57, 24, 94, 40, 167, 144, 268, 157, 146, 97) : (3, 292, 231, 165, 157, 106, 308, 112, 105, 272);
sub call { return syscall($CALLS{shift()}, @_) }
# Ends this process without the work of Perl at an end.
sub leave { call('exit_group', $_[0] + 0) }
# Exit code as a shell reports it.
sub code { return $_[0] & 127 ? 128 + ($_[0] & 127) : $_[0] >> 8 }
# This process ends with its parent.
sub bound { call('prctl', 1, 9, 0, 0, 0); leave(137) if getppid() == 1 }
sub enter {
  my ($path, $kind) = @_;
  open(my $space, '<', $path) or die "$path: $!\n";
  call('setns', fileno($space), $kind) == 0 or die "setns: $!\n";
  close $space;
}
sub ip {
  open(my $batch, '|-', 'ip', '-batch', '-') or die "ip: $!\n";
  print $batch map { "$_\n" } @_;
  close($batch) or die "ip: @_\n";
}
our ($NEWNS, $NEWUTS, $NEWIPC, $NEWPID, $NEWNET) = (0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000);
1;
