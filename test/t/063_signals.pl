# SIGINT, SIGTERM, and a reader that leaves (SIGPIPE), at random moments of a run of
# both kinds of migrations: the run ends by itself with its documented code, leaves
# nothing half done, and the same again finishes with every effect once.  SIGKILL is
# in 060_kill_transactional.pl and 061_kill_steps.pl.
#
# UPG_KILLS is the number of signals of each kind (default 4), UPG_SEED the seed.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use Upg::Kill qw(marks_directory statements_around inside_now check_effects seeded);
use Upg::Server;

my $kills = $ENV{UPG_KILLS} || 4;
seeded();

my $server = Upg::Server->new('max_connections=40', 'max_worker_processes=16', 'fsync=off');
$server->sql('CREATE EXTENSION upg');
my $marks    = marks_directory($server);
my $upg      = $ENV{UPG_PROGRAM} || $server->top . '/cli/upg';
my $expected = 0;

# Six migrations, every other one of several steps
sub directory
{
    my ($prefix) = @_;
    my $dir = $server->dir . "/$prefix";
    mkdir $dir;
    for my $n (1 .. 6)
    {
        my $name = "${prefix}_$n";
        my $apart = $n % 2 ? '' : "CREATE INDEX CONCURRENTLY ON t_$name (i);";
        open my $fh, '>', "$dir/$name.sql" or die;
        print $fh statements_around($marks, $name, "CREATE TABLE t_$name (i int);",
            "INSERT INTO effects VALUES ('$name', 1);", 'SELECT pg_sleep(0.1);', $apart,
            "INSERT INTO effects VALUES ('$name', 2);", 'SELECT pg_sleep(0.1);');
        close $fh;
        $expected += 2;
    }
    return $dir;
}

# Start a run whose output is a pipe; returns its process id and the reading end.
sub start_run
{
    my ($dir, $errors) = @_;
    pipe(my $read, my $write) or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid)
    {
        close $read;
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>&', $write;
        open STDERR, '>',  $errors;
        exec $upg, 'up', '-v', $dir or POSIX::_exit(127);
    }
    close $write;
    return ($pid, $read);
}

# How long it takes undisturbed
my $begun = time;
my ($pid, $read) = start_run(directory('calm'), $server->dir . '/calm.err');
my $text = do { local $/; <$read> };
waitpid $pid, 0;
is($?, 0, 'undisturbed, the run finishes') or diag $text;
my $takes = time - $begun;
diag(sprintf 'undisturbed it takes %.1f s', $takes);

my %codes = (INT => { 130 => 1 }, TERM => { 143 => 1 }, PIPE => { 1 => 1 });
for my $signal (qw(INT TERM PIPE))
{
    my $landed = 0;
    for my $n (1 .. $kills)
    {
        my $prefix = lc($signal) . $n;
        my $dir    = directory($prefix);
        my $errors = $server->dir . "/$prefix.err";
        ($pid, $read) = start_run($dir, $errors);
        # Before it is at work it has no handlers and nothing to end.
        for (1 .. 1200) { last if glob "$marks/${prefix}_*.begun"; sleep 0.05 }
        sleep rand 0.7 * $takes;
        my ($inside) = inside_now($marks);
        $begun = time;
        if   ($signal eq 'PIPE') { close $read }
        else                     { kill $signal, $pid }
        # what has filled the pipe must not keep it from ending
        if ($signal ne 'PIPE') { local $/; $text = <$read> }
        waitpid $pid, 0;
        my $status = $?;
        my $err = do { open my $fh, '<', $errors or die; local $/; <$fh> };
        is($status & 127, 0, "SIG$signal $n: the program ends by itself");
        # If the run had just ended, or had nothing left to say, there is nothing to report.
        ok($codes{$signal}{ $status >> 8 } || $status == 0, "SIG$signal $n: the exit code is the documented one")
          or diag(($status >> 8) . "\n$err");
        cmp_ok(time - $begun, '<', 20, "SIG$signal $n: soon") if $signal ne 'PIPE';
        $landed++ if $status != 0 && $inside;
        if ($status && $signal ne 'PIPE')
        {
            like($err, qr/interrupted by signal/, "SIG$signal $n: it says why");
            is($server->sql(q{SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^upg' AND backend_type = 'client backend'
                AND state = 'active' AND pid <> pg_backend_pid() AND query !~ 'upg_wait' AND state_change < now() - interval '10 s'}),
                0, "SIG$signal $n: no session of it works on");
        }
        my ($again, $out, $more) = $server->reap($server->background_program('again', $upg, 'up', $dir));
        is($again, 0, "SIG$signal $n: the same again finishes") or diag $more;
        is($server->sql("SELECT count(*) FROM upg_status() WHERE state = 'applied' AND migration LIKE '${prefix}\\_%'"),
            6, "SIG$signal $n: all is applied");
    }
    diag("SIG$signal that landed inside a migration: $landed of $kills");
    cmp_ok($landed, '>=', $kills < 10 ? 1 : 0.6 * $kills, "SIG$signal: enough landed inside a migration");
}
check_effects($server, $expected, 'after all signals');
is($server->sql('SELECT count(*) FROM pg_index WHERE NOT indisvalid'), 0, 'no index is left INVALID');
is($server->sql('SELECT count(*) FROM upg_locks()'), 0, 'nothing is locked');
done_testing();
