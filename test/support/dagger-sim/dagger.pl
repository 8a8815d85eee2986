# `dagger session`: sends its start, the end of its input and its signals to the engine's process (daemon.mjs), and
# prints and ends as that says. Perl without modules: Node.js takes ten times its processor time to start.
# dagger.pl SOCKET ENGINE ARGV...
use strict;
my ($path, $folder, @argv) = @ARGV;
my ($AF_UNIX, $SOCK_STREAM) = (1, 1);
sub fail { print STDERR "$_[0]\n"; exit 1 }
fail("Error: unknown command \"$argv[0]\" for \"dagger\"") unless @argv && $argv[0] eq 'session';
fail('Error: unexpected arguments') unless grep { $_ eq '--silent' } @argv;
socket(my $engine, $AF_UNIX, $SOCK_STREAM, 0) or fail("socket: $!");
connect($engine, pack('S a*', $AF_UNIX, $path)) or fail("start engine: $!");
$SIG{PIPE} = 'IGNORE';
syswrite($engine, join("\t", $folder, $ENV{_EXPERIMENTAL_DAGGER_RUNNER_HOST} // '') . "\n");
my %print = (o => \*STDOUT, e => \*STDERR);
my $reading = 1;
my $received = '';
while (1) {
  my $ready = '';
  vec($ready, fileno $engine, 1) = 1;
  vec($ready, 0, 1) = 1 if $reading;
  next if select($ready, undef, undef, undef) <= 0;
  if ($reading && vec($ready, 0, 1) && !sysread(STDIN, my $ignored, 4096)) {
    $reading = 0;
    syswrite($engine, 'e');
  }
  next unless vec($ready, fileno $engine, 1);
  sysread($engine, $received, 65536, length $received) or fail('the engine has ended');
  while ($received =~ s/^([a-z])([0-9a-f]*)\n//) {
    my ($kind, $text) = ($1, pack 'H*', $2);
    if ($kind eq 'h') { $SIG{$_} = sub { syswrite($engine, 't') } for qw(TERM INT) }
    elsif ($kind eq 'x') { exit $text }
    else { syswrite($print{$kind}, $text) }
  }
}
