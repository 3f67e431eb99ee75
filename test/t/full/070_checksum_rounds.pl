# The long rounds of the seeded tests of checksums: 10,000 mutations, each found
# and none invented, and 600 random schemas.  UPG_MUTATIONS and UPG_SCHEMAS set
# other numbers.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;

use Upg::Server;

$ENV{UPG_MUTATIONS} ||= 10_000;
$ENV{UPG_SCHEMAS}   ||= 600;
my $server = Upg::Server->new('autovacuum=off');

for my $round ([ 'compare_mutations', qr/^t\|t\|0$/m ], [ 'checksum_schemas', qr/^t\|0$/m ])
{
    my ($name, $good) = @$round;
    open my $fh, '<', "$FindBin::Bin/../../sql/$name.sql" or die "$name: $!";
    my $script = do { local $/; <$fh> };
    my ($status, $out, $err) = $server->psql($script);
    is($status, 0, "$name ran to its end") or diag $err;
    like($out, $good, "$name found what it should, and nothing else") or diag $out;
}

done_testing();
