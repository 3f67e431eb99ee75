#!/bin/sh
# Relative links in the pages lead to files and headings that exist.
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2046 # no blanks in our file names
perl - $(files '*.md') <<'PERL' | complain_each
use strict;
use warnings;
use File::Basename;

my %anchors;

# GitHub's rule: lower case, punctuation away, blanks to hyphens.
sub anchors
{
    my ($file) = @_;
    return $anchors{$file} if $anchors{$file};
    my (%seen, $code);
    local $_;
    open(my $fh, '<', $file) or return $anchors{$file} = {};
    while (<$fh>)
    {
        $code = !$code if /^```/;
        next if $code || !/^#+\s+(.*?)\s*$/;
        my $text = lc $1;
        $text =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
        $text =~ s/[^\w\s-]//g;
        $text =~ s/\s/-/g;
        my $n = $seen{$text}++;
        $anchors{$file}{ $n ? "$text-$n" : $text } = 1;
    }
    return $anchors{$file} //= {};
}

foreach my $file (@ARGV)
{
    open(my $fh, '<', $file) or next;
    my $code;
    while (<$fh>)
    {
        $code = !$code if /^\s*```/;
        next if $code;
        s/`[^`]*`//g;
        while (/\]\(([^)\s]+)\)/g)
        {
            my ($path, $anchor) = split(/#/, $1, 2);
            next if $path =~ /^[a-z]+:/;
            my $target = $path eq '' ? $file : dirname($file) . "/$path";
            $target =~ s{^\./}{};
            print "$file:$.: $path does not exist\n" and next unless -e $target;
            print "$file:$.: $target has no heading #$anchor\n"
              if defined $anchor && $target =~ /\.md$/ && !anchors($target)->{$anchor};
        }
    }
}
PERL
finish
