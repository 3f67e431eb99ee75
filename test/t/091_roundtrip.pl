# Round trips: each case is applied under capture, taken back from another session
# and compared.  All cases take minutes; without UPG_FULL only those about columns run.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(run);
use Test::More;
use UpgTest;

server_start();
my $top   = "$FindBin::Bin/../..";
my @cases = glob "$top/test/roundtrip/cases/*.sql";
my @only  = $ENV{UPG_FULL} ? () : ('--only', 'column');
my ($out, $err) = ('', '');
my $ok = run([ 'python3', "$top/test/roundtrip/roundtrip.py", '--cases', @only, @cases ], \undef, \$out, \$err);
ok($ok, 'round trips: nothing is silently wrong, nothing fails that should not') or diag($out, $err);
my ($tried, $exact) = $out =~ /^cases (\d+): exact (\d+)/m;
diag($1) if $out =~ /^(cases .*)$/m;
cmp_ok($tried // 0, '>', $ENV{UPG_FULL} ? 150 : 20, 'cases were tried');
is($exact, $tried, 'all of them exact') or diag($out);
done_testing();
