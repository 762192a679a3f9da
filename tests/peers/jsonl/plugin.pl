#!/usr/bin/perl
# A plugin in Perl: upper-cases a text, or says no.
use strict;
use warnings;
use JSON::PP;

$| = 1;
my $json = JSON::PP->new->utf8->canonical;
while (my $line = <STDIN>) {
    my $request = $json->decode($line);
    next unless defined $request->{id};
    my $answer = { id => $request->{id} };
    if ($request->{method} eq 'upper') {
        $answer->{result} = { text => uc $request->{payload}{text}, request_id => $request->{context}{request_id} };
    }
    else {
        $answer->{error} = { code => 'NOT_FOUND', message => "no method $request->{method}", details => { tried => 1 } };
    }
    print $json->encode($answer), "\n";
}
