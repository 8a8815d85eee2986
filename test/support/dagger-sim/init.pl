# First process of a container: changes root and user, starts the program, hands signals on, reaps, ends with it.
# Run by enter.pl and runc.pl, which load calls.pl.
# init.pl MODE ROOT UID GID GROUPS CWD ENVIRONMENT ARGV...   MODE: init, direct (no process of its own), exec
use strict;
my ($mode, $root, $uid, $gid, $groups, $cwd, $file, @argv) = @ARGV;
open(my $in, '<', $file) or die "environment: $!\n";
my %env = do { local $/; my $all = <$in> // ''; map { my ($n, $v) = split /=/, $_, 2; ($n => $v) } split /\0/, $all };
close $in;
# Of the capabilities, those of a container that Docker starts.
my %kept = map { $_ => 1 } (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31);
chroot($root) or die "chroot: $!\n";
sub program {
  my ($name) = @_;
  return $name if $name =~ m{/};
  for my $folder (split /:/, $env{PATH} // '') { return "$folder/$name" if -f "$folder/$name" && -x _ }
  return undef;
}
sub run {
  chdir($cwd) or die "chdir to cwd (\"$cwd\") failed: $!\n";
  for my $cap (0 .. 40) { call('prctl', 24, $cap, 0, 0, 0) unless $kept{$cap} }
  $) = join ' ', $gid, ($groups eq '-' ? $gid : split /,/, $groups);
  call('setgid', $gid + 0); call('setuid', $uid + 0);
  die "user: $!\n" unless $> == $uid;
  my $path = program($argv[0]);
  %ENV = %env;
  if (defined $path && -e $path) {
    if ($mode ne 'exec') { open(my $tell, '>&=', 3); syswrite($tell, "started\n"); close $tell; }
    exec { $path } @argv;
    print STDERR "exec $argv[0]: $!\n";
    leave(1);
  }
  my $why = $argv[0] =~ m{/} ? "stat $argv[0]: no such file or directory" : "executable file not found in \$PATH";
  # As runc says it: a line of its log, with the quotes escaped.
  if ($mode eq 'exec') {
    print STDERR "time=\"now\" level=error msg=\"exec failed: unable to start container process: exec: \\\"$argv[0]\\\": $why\"\n";
    leave(255);
  }
  print STDERR "exec: \"$argv[0]\": $why\n";
  leave(1);
}
run() if $mode ne 'init';
my $child = 0;
for my $signal (qw(TERM INT HUP QUIT USR1 USR2 WINCH)) { $SIG{$signal} = sub { kill $signal, -$child if $child } }
$child = fork() // die "fork: $!\n";
if ($child == 0) { $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP QUIT USR1 USR2 WINCH); call('setsid'); run() }
open(STDIN, '<', '/dev/null'); call('close', 3);
while (1) {
  my $ended = waitpid(-1, 0);
  next if $ended == -1 && $!{EINTR};
  last if $ended == -1;
  leave(code($?)) if $ended == $child;
}
leave(255);
