# The record of a failed migration is written by a process of its own.  Whatever
# becomes of that process, the failure is in the books once: neither lost nor twice.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(sleep time);

use Upg::Server;

my $server = Upg::Server->new('fsync=off', 'autovacuum=off');
$server->sql('CREATE EXTENSION upg');

my $recorder = q{SELECT pid FROM pg_stat_activity WHERE application_name = 'upg recorder'};

# Keep the recorder from writing, for as long as the caller likes.
sub block_books
{
    my $holder = $server->background('BEGIN; LOCK TABLE upg.attempts IN SHARE MODE; SELECT pg_sleep(60)', 'holder');
    ok($server->wait_for(q{SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'upg.attempts'::regclass AND mode = 'ShareLock' AND granted)}, 30),
        'the books are locked');
    return $holder;
}

sub release_books
{
    $server->sql(q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'holder'});
    $server->reap($_[0]);
    return;
}

# A session that fails, and then makes another call if the test lets it.
sub failing_session
{
    my ($name) = @_;
    my $go = $server->dir . "/go.$name";
    return $server->background(<<"SQL", 'the failing');
SELECT upg_apply('$name', 'CREATE TABLE "$name" (i int); SELECT 1/0');
\\! for i in \$(seq 600); do [ -e $go ] && break; sleep 0.1; done
SELECT state FROM upg_apply('$name after', 'SELECT 1');
SQL
}

sub go_on
{
    open my $fh, '>', $server->dir . "/go.$_[0]" or die;
    close $fh;
    return;
}

sub failures { return $server->sql("SELECT count(*) FROM upg_history('$_[0]') WHERE state = 'failed' AND sqlstate = '22012'") }

# Ended before it has written: the session keeps the failure and writes it at its next call.
{
    my $holder  = block_books();
    my $session = failing_session('ended');
    ok($server->wait_for("SELECT EXISTS ($recorder AND wait_event_type = 'Lock')", 30), 'the recorder waits for the books');
    $server->sql("SELECT pg_terminate_backend(pid) FROM ($recorder) AS r");
    ok($server->wait_for("SELECT NOT EXISTS ($recorder)", 30), '... and is ended');
    release_books($holder);
    is(failures('ended'), 0, 'a recorder that was ended has written nothing');
    go_on('ended');
    my ($status, $out, $err) = $server->reap($session);
    like($err, qr/division by zero/, '... the client has its error all the same');
    is($out, "applied\n", '... the session goes on');
    is(failures('ended'), 1, '... and has written the failure with its next call');
}

# Slow: the session stops waiting, the recorder writes when it can, and only it.
{
    my $holder  = block_books();
    my $begun   = time;
    my $session = failing_session('slow');
    ok($server->wait_for("SELECT EXISTS ($recorder AND wait_event_type = 'Lock')", 30), 'the recorder waits for the books');
    ok($server->wait_for(q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name ~ 'the failing|upg' AND backend_type = 'client backend' AND state = 'active' AND pid <> pg_backend_pid() AND query ~ '^SELECT upg_apply')}, 30),
        '... the session does not wait for ever');
    cmp_ok(time - $begun, '>=', 4, '... but some seconds');
    release_books($holder);
    ok($server->wait_for("SELECT NOT EXISTS ($recorder)", 30), '... the recorder finishes');
    is(failures('slow'), 1, '... and has written the failure');
    go_on('slow');
    $server->reap($session);
    is(failures('slow'), 1, '... which the session does not write again');
}
is($server->sql('SELECT ok, reason FROM upg_audit_verify()'), 't|', 'the audit trail is whole');
done_testing();
