# Random histories of migrations and of an application that goes on writing, rolled
# back and compared with a model row by row.  UPG_FULL runs 500 of them, UPG_SEED
# chooses others.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(run);
use Test::More;
use UpgTest;

server_start();
my $top   = "$FindBin::Bin/../..";
my $count = $ENV{UPG_FULL} ? 500 : 30;
my $seed  = $ENV{UPG_SEED} // 1;
my $db    = database('histories');
my ($out, $err) = ('', '');
my $ok = run([ 'python3', "$top/test/roundtrip/histories.py", '--db', $db, '--count', $count,
	'--seed', $seed, '--verbose' ],
	\undef, \$out, \$err);
ok($ok, "no row is lost and none invented (seed $seed)") or diag($out, $err);
my ($tried, $failed, $whole, $rollbacks) =
	$out =~ /^histories (\d+): (\d+) failed, (\d+) rolled back to the start, (\d+) rollbacks/m;
diag($1) if $out =~ /^(histories .*)$/m;
is($tried, $count, 'all histories were tried');
is($failed, 0, 'all of them came out as the model says');
cmp_ok($whole // 0, '>=', 0.8 * $count, 'most could be rolled back to their start');
cmp_ok($rollbacks // 0, '>', $count, 'chains were among them');
done_testing();
